"""What a monitor watches: the slice of a configuration that judging and deciding need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from config.models import Config, MeterPrice, Monitor, Recipient, Settings, Threshold, Tier, View
from config.roster import RosterCustomer


@dataclass(frozen=True, slots=True)
class Watched:
    """A monitor with its view, the tiers that price it, and whom it may tell."""

    name: str
    monitor: Monitor
    view_name: str
    view: View
    tiers: Mapping[str, Tier]
    recipients: Mapping[str, Recipient]
    settings: Settings

    @property
    def title(self) -> str:
        """The monitor's name for people."""
        return self.monitor.title or self.name

    @property
    def thresholds(self) -> Mapping[str, Threshold]:
        """The monitor's thresholds by name."""
        return self.monitor.thresholds

    def plan(self, customer: RosterCustomer) -> MeterPrice | None:
        """What the customer's tier includes of the view's meter; None without a tier, a meter, or a price for it."""
        tier = self.tiers.get(customer.tier) if customer.tier is not None else None
        return None if tier is None else self.plan_of(tier)

    def plan_of(self, tier: Tier) -> MeterPrice | None:
        """What a tier includes of the view's meter."""
        return tier.prices.get(self.view.meter) if self.view.meter is not None else None


def watched(config: Config, name: str) -> Watched:
    """The slice of a monitor that the configuration has.

    Raises:
        KeyError: when it has no monitor of that name.
    """
    monitor = config.monitors[name]
    return Watched(
        name, monitor, monitor.view, config.views[monitor.view], config.tiers, config.recipients, config.settings
    )
