"""Does `dap login` and `dap logout`: keeps a token for a gateway, and gives it up."""

import asyncio
import shlex
from contextlib import suppress

from gateway.cli import token
from gateway.cli.console import say
from gateway.cli.terminal import tty
from gateway.client import logins, sign_in
from gateway.client.exit_status import HOP_FAILED, GatewayFailed
from gateway.client.logins import Login
from gateway.client.remote import authority, gateway_url
from gateway.client.sign_in import Link
from gateway.errors import ConfigError
from gateway.masking import mask_url
from gateway.protocol.errors import BadRequest
from gateway.settings.config import Config, bearer_token
from gateway.settings.loader import load
from gateway.settings.paths import state_dir


def log_in(text: str) -> None:
    """Signs in with a link, or with what is typed, and keeps the token. The token of an earlier login there is revoked.
    Raises GatewayFailed, ConfigError, BadRequest, OSError.
    """
    link = sign_in.read_link(text)
    typed = "" if link.ticket else _ask(link.url)
    if "#" in typed:
        link = _same(link, sign_in.read_link(typed))
    before, ca = logins.find(link.url), sign_in.pinned(link) or authority(load())
    if link.ticket:
        login = sign_in.by_ticket(link, ca)
    else:
        login = sign_in.by_token(link.url, bearer_token(typed, "what was typed"), ca)
    logins.store(login)
    if before and before.token != login.token:
        with suppress(GatewayFailed):  # it ends by itself
            sign_in.sign_out(before)
        _drop_short(before)
    say(f"signed in to {login.url} as {login.identity}")
    _hint(load(), login)


def log_out(text: str | None) -> int:
    """Has the gateway revoke the token, forgets it, and returns the exit status. Raises ConfigError, OSError."""
    login = _named(text)
    logins.forget(login)
    _drop_short(login)
    try:
        sign_in.sign_out(login)
    except GatewayFailed as error:
        say(str(error.end))
        say(f"the token is gone here; at the gateway, dap access revoke {login.name} ends it")
        return HOP_FAILED
    say(f"signed out of {login.url}")
    return 0


def _hint(config: Config, login: Login) -> None:
    """Says where commands go in spite of the login."""
    if config.url and gateway_url(config.url, "gateway.url") != login.url:
        say(f"commands go to the gateway of DAP_GATEWAY_URL, {mask_url(config.url)}")
    elif config.token:
        say("commands show the token of DAP_GATEWAY_TOKEN, and not this login's")
    elif not config.url and (config.clusters or len(logins.every()) > 1):
        say(f"have commands go there: export DAP_GATEWAY_URL={shlex.quote(login.url)}")


def _ask(url: str) -> str:
    answer = asyncio.run(tty.ask(f"Link or token for {url}:", echo=False))
    if not answer or not answer.strip():
        raise BadRequest(
            "name the whole link, as dap open --for NAME prints it: there is no terminal to ask on, or no answer"
        )
    return answer.strip()


def _same(named: Link, typed: Link) -> Link:
    if named.url != typed.url or not typed.ticket:
        raise BadRequest(f"that is no link to {named.url}")
    return typed


def _named(text: str | None) -> Login:
    """Returns the login for the gateway that is named here or in the settings, or the only one there is."""
    known = logins.every()
    url = text or load().url
    if url:
        url = gateway_url(url.partition("#")[0], "the gateway's URL")
    found = [one for one in known if url in ("", one.url)]
    if len(found) == 1:
        return found[0]
    if not known:
        raise ConfigError("you are signed in to no gateway")
    there = ", ".join(one.url for one in known)
    raise ConfigError(
        f"you are not signed in to {mask_url(url)}" if url else f"name the gateway, one of {there}"
    )


def _drop_short(login: Login) -> None:
    token.drop(str(state_dir()), login.name)
