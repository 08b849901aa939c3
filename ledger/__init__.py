"""What must survive: periods, records, tables, migrations, the outbox, the audit."""
