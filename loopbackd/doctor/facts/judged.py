"""What OpenSSL makes of a chain of certificates, with whoever is trusted on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from OpenSSL import SSL, crypto

from loopbackd.tls.files import readSmall
from loopbackd.tls.store import PUBLIC, stateDirectory

_TIMES: Final = frozenset({9, 10})
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""

_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME."""

_STRANGERS: Final = frozenset({2, 18, 19, 20, 21})
"""What is said of a chain that leads to nobody who is trusted."""

_FROM_ENVIRONMENT: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What OpenSSL says of a chain, whatever the time is.

    @ivar code: of X509_STORE_CTX_get_error(3); 0 where nothing is wrong.
    @ivar words: the same in OpenSSL's words.
    @ivar about: the subject of the certificate that it is about.
    @ivar dated: the subject of a certificate whose time it is not, where that is all.
    """

    code: int = 0
    words: str = ""
    about: str = ""
    dated: str = ""

    @property
    def isGood(self) -> bool:
        """Whether the chain leads to somebody who is trusted, and nothing is wrong with it."""
        return self.code == 0

    @property
    def isStranger(self) -> bool:
        """Whether it leads to nobody who is trusted."""
        return self.code in _STRANGERS


@dataclass(frozen=True, slots=True)
class Judged:
    """
    The verdicts on a chain.

    @ivar system: with those whom the system trusts, as OpenSSL's programs look for them.
    @ivar own: with loopbackd's authority alone; L{None} where there is none.
    @ivar authority: the file of loopbackd's authority.
    @ivar variables: what the environment says of whom to trust.
    """

    system: Verdict
    own: Verdict | None = None
    authority: str = ""
    variables: tuple[str, ...] = ()


def judged(chain: Sequence[x509.Certificate], environ: Mapping[str, str]) -> Judged:
    """
    Have OpenSSL look at a chain; never raises for what cannot be read.

    @param environ: where loopbackd's authority is looked for.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_default_verify_paths()
    path = stateDirectory(environ) / PUBLIC
    own = None
    try:
        authority = x509.load_pem_x509_certificate(readSmall(path))
    except (OSError, ValueError):
        pass
    else:
        own = verdictOf(chain, _storeOf(authority))
    variables = tuple(f"{name}={environ[name]}" for name in _FROM_ENVIRONMENT if name in environ)
    return Judged(verdictOf(chain, context.get_cert_store()), own, str(path), variables)


def verdictOf(chain: Sequence[x509.Certificate], store: Any) -> Verdict:
    """What OpenSSL says with a store."""
    found = _verified(chain, store)
    if found.code not in _TIMES:
        return found
    store.set_flags(_NO_CHECK_TIME)
    timeless = _verified(chain, store)
    return Verdict(timeless.code, timeless.words, timeless.about, found.about)


def _storeOf(authority: x509.Certificate) -> crypto.X509Store:
    store = crypto.X509Store()
    store.add_cert(crypto.X509.from_cryptography(authority))
    return store


def _verified(chain: Sequence[x509.Certificate], store: Any) -> Verdict:
    first, *rest = map(crypto.X509.from_cryptography, chain)
    try:
        crypto.X509StoreContext(store, first, rest).verify_certificate()
    except crypto.X509StoreContextError as error:
        code, _, words = error.errors
        about = error.certificate.to_cryptography().subject.rfc4514_string()
        return Verdict(code, words, about)
    return Verdict()
