"""Everything that can go wrong between this gateway and an upstream, told apart.

UpstreamFailure
  AddressRefused     the name leads to no address that the settings allow
  ConnectFailed      nothing accepted the connection
  ConnectTimeout     nothing accepted it in time
  TlsFailed          the certificate or the handshake was not acceptable
  PoolExhausted      too many connections to this upstream are in use
  FirstByteTimeout   the answer's head did not come in time, or the upload stood still
  IdleTimeout        the answer's body stood still
  TotalTimeout       the whole exchange took too long
  CutOff             the connection ended before the answer did
  BadAnswer          what came is not an HTTP/1.1 answer that can be passed on
  AnswerTooLarge     the body is larger than the caller of the client takes
"""


class UpstreamFailure(Exception):
    """An exchange that did not end well.

    detail: for the log; never holds a header's value, a body or a credential.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class AddressRefused(UpstreamFailure):
    """The name leads to no address that the settings allow."""


class ConnectFailed(UpstreamFailure):
    """Nothing accepted the connection."""


class ConnectTimeout(UpstreamFailure):
    """Nothing accepted the connection in time."""


class TlsFailed(UpstreamFailure):
    """The certificate or the handshake was not acceptable."""


class PoolExhausted(UpstreamFailure):
    """Too many connections to this upstream are in use."""


class FirstByteTimeout(UpstreamFailure):
    """The answer's head did not come in time, or the upload stood still."""


class IdleTimeout(UpstreamFailure):
    """The answer's body stood still for too long."""


class TotalTimeout(UpstreamFailure):
    """The whole exchange took too long."""


class CutOff(UpstreamFailure):
    """The connection ended before the answer did."""


class BadAnswer(UpstreamFailure):
    """What came is not an HTTP/1.1 answer that can be passed on."""


class AnswerTooLarge(UpstreamFailure):
    """The answer's body is larger than allowed."""
