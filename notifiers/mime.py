"""Headers and bodies in the bytes that travel: short ASCII lines, so that no relay has to change them.

What is plain is written directly, which is thirty times as fast as the library that knows every case; what is not, such
as a name beyond ASCII, goes through the library.
"""

from __future__ import annotations

import binascii
import email.policy
from email.headerregistry import Address
from typing import Final

# the usual folding at 78 columns encodes long addresses of links, which mail clients then do not recognise
WIRE: Final = email.policy.SMTP.clone(max_line_length=998, cte_type="7bit")
_UTF8_WIRE: Final = WIRE.clone(utf8=True)
_SHORT: Final = 78
_PLAIN_HEADER: Final = 900
_BASE64_LINE: Final = 57  # bytes in, 76 characters out


def header(name: str, value: str | Address, *, utf8: bool = False) -> bytes:
    """One header with its line end. `utf8` writes letters beyond ASCII as they are (RFC 6532), else they are encoded.

    Raises:
        ValueError: the value holds a line end, or is no address where one belongs.
    """
    text = str(value)
    if text.isascii() and text.isprintable() and "=?" not in text and len(text) < _PLAIN_HEADER:
        return f"{name}: {text}\r\n".encode()
    policy = _UTF8_WIRE if utf8 else WIRE
    _, parsed = policy.header_store_parse(name, value)
    return policy.fold_binary(name, parsed)


def alternatives(text: str, html: str, boundary: str) -> bytes:
    """The MIME headers and the body of a message that says the same as text and as HTML."""
    edge = f"--{boundary}".encode()
    return b"".join(
        (
            b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="',
            boundary.encode(),
            b'"\r\n\r\n',
            *(edge + b"\r\n" + _part(kind, content) + b"\r\n" for kind, content in (("plain", text), ("html", html))),
            edge,
            b"--\r\n",
        )
    )


def _part(kind: str, content: str) -> bytes:
    encoding, body = encoded(content)
    head = f'Content-Type: text/{kind}; charset="utf-8"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    return head.encode() + body


def encoded(content: str) -> tuple[str, bytes]:
    """The transfer encoding and the encoded lines: as it is where that is possible, else the shorter of the two.

    Every line ends in CRLF, and none has more than 76 characters once it is encoded (78 as it is).
    """
    raw = "\r\n".join(content.splitlines()).encode("utf-8", "replace") + b"\r\n"
    if raw.isascii() and b"\0" not in raw and max(map(len, raw.split(b"\r\n"))) <= _SHORT:
        return "7bit", raw
    quoted = binascii.b2a_qp(raw, istext=True)
    if len(quoted) <= len(raw) * 4 // 3:
        return "quoted-printable", quoted
    pieces = (raw[start : start + _BASE64_LINE] for start in range(0, len(raw), _BASE64_LINE))
    return "base64", b"".join(binascii.b2a_base64(piece, newline=False) + b"\r\n" for piece in pieces)
