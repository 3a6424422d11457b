"""Who may come in: logging in and out, accounts, sessions, tokens."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from framecast.service.access.rights import COOKIE, PREFIXED_COOKIE, SECURE_COOKIE, Grant, Right
from framecast.service.access.sessions import SESSION_LIFE_S
from framecast.service.accounts.entered import Entered, role_of
from framecast.service.errors import ApiError, bad_request, not_found
from framecast.service.front.bodies import json_response, read_json
from framecast.service.front.routing import Call, Route
from framecast.service.operations.trail import WHO
from framecast.service.service import Service
from framecast.service.store.credentials import Visit

_COOKIES = (PREFIXED_COOKIE, SECURE_COOKIE, COOKIE)


def routes(service: Service) -> list[Route]:
    """The routes of this module."""
    desk = service.desk
    timeout_s = service.settings.limits.body_timeout_s

    async def body_of(call: Call) -> dict[str, Any]:
        return await read_json(call.request, timeout_s=timeout_s)

    async def who(call: Call) -> web.StreamResponse:
        return json_response(_session(service, call.grant))

    async def log_in(call: Call) -> web.StreamResponse:
        if service.access.open:
            return json_response(_session(service, call.grant))
        fields = await body_of(call)
        key, name, password = (fields.get(field) for field in ("key", "name", "password"))
        if isinstance(key, str) and key and name is None and password is None:
            entered = await desk.log_in_by_key(key.strip(), _visit(call), _cookie(call))
            if entered is None:
                raise ApiError(401, "wrong_key", "This key is unknown or revoked")
        elif isinstance(name, str) and name and isinstance(password, str) and password and key is None:
            entered = await desk.log_in_by_name(name.strip(), password, _visit(call), _cookie(call))
            if entered is None:
                raise ApiError(401, "wrong_password", "There is no such account, or it has another password")
        else:
            raise bad_request('Send {"name": "…", "password": "…"} or {"key": "fc_…"}', "bad_value")
        return _enter(service, call, entered)

    async def set_up(call: Call) -> web.StreamResponse:
        entered = await desk.set_up(await body_of(call), _visit(call), _cookie(call))
        if entered is None:
            raise _wrong_code()
        return _enter(service, call, entered)

    async def ask_code(call: Call) -> web.StreamResponse:
        if not desk.is_good(await body_of(call), _visit(call)):
            raise _wrong_code()
        return web.Response(status=204)

    async def log_out(call: Call) -> web.StreamResponse:
        response = web.Response(status=204)
        everywhere = call.query.get("everywhere") == "1"
        for name in _COOKIES:
            cookie = call.request.cookies.get(name)
            if cookie:
                holder = desk.name_of(cookie) if everywhere else ""
                try:
                    await desk.log_out(cookie, everywhere=everywhere)
                finally:
                    if holder:  # whatever could not be kept: nobody can ask again with this cookie
                        await service.deliveries.browsers.unsubscribe_all(holder)
            if cookie or name == COOKIE:
                path = "/" if name == SECURE_COOKIE else call.client.cookie_path
                response.del_cookie(name, path=path, httponly=True, samesite="Strict", secure=name != COOKIE)
        return response

    async def list_sessions(call: Call) -> web.StreamResponse:
        everybodys = call.query.get("all") == "1"
        if everybodys and not call.grant.has(Right.OWN):
            raise ApiError(403, "forbidden", "Only an owner sees the sessions of others")
        return json_response({"sessions": desk.sessions(call.grant, everybodys=everybodys)})

    async def end_session(call: Call) -> web.StreamResponse:
        await desk.end_session(call.grant, call.parameter)
        return web.Response(status=204)

    async def change_password(call: Call) -> web.StreamResponse:
        await desk.change_password(call.grant, await body_of(call), _visit(call))
        return web.Response(status=204)

    async def list_users(call: Call) -> web.StreamResponse:
        return json_response(await desk.users())

    async def create_user(call: Call) -> web.StreamResponse:
        return json_response(await desk.create_user(await body_of(call)), status=201)

    async def change_user(call: Call) -> web.StreamResponse:
        return json_response(await desk.change_user(call.parameter, await body_of(call), call.grant))

    async def remove_user(call: Call) -> web.StreamResponse:
        await desk.remove_user(call.parameter)
        return web.Response(status=204)

    async def list_tokens(call: Call) -> web.StreamResponse:
        return json_response({"tokens": await desk.tokens()})

    async def create_token(call: Call) -> web.StreamResponse:
        return json_response(await desk.create_token(await body_of(call)), status=201)

    async def revoke_token(call: Call) -> web.StreamResponse:
        if not await desk.revoke_token(call.parameter, forget=call.query.get("forget") == "1"):
            raise not_found(f"There is no token {call.parameter[:64]!r}")
        return web.Response(status=204)

    def route(method: str, path: str, right: Right, handler: Any, summary: str, **more: Any) -> Route:
        if method == "DELETE" or path.endswith(("/password", "/code")):
            more["answer"] = "204"
        return Route(method, path, right, handler, summary, tag="access", **more)

    public, watch, own = Right.PUBLIC, Right.WATCH, Right.OWN
    everywhere = {"everywhere": "1: end all sessions and notifications of this account or token."}
    forget = {"forget": "1: take it off the list as well."}
    return [
        route("GET", "/api/v1/session", public, who, "What the caller may do."),
        route("POST", "/api/v1/session", public, log_in, "Log in: get a cookie.", body="name and password, or key"),
        route("DELETE", "/api/v1/session", public, log_out, "Log out.", query=everywhere),
        route("POST", "/api/v1/setup", public, set_up, "Use a link's code.", body="code, password, name?"),
        route("POST", "/api/v1/setup/code", public, ask_code, "Whether a link's code is good still.", body="code"),
        route("GET", "/api/v1/sessions", watch, list_sessions, "One's sessions.", query={"all": "1: everybody's."}),
        route("DELETE", "/api/v1/sessions/{session}", watch, end_session, "End a session."),
        route("POST", "/api/v1/password", watch, change_password, "Change one's own password.", body="old, new"),
        route("GET", "/api/v1/users", own, list_users, "All accounts."),
        route(
            "POST",
            "/api/v1/users",
            own,
            create_user,
            "Create an account; without a password the answer holds an invitation, and nothing else ever does.",
            body="name, role (owner, viewer), cameras?, password?",
        ),
        route(
            "PATCH",
            "/api/v1/users/{name}",
            own,
            change_user,
            "Change an account, or invite anew.",
            body="role?, cameras?, password?, disabled?, invite?",
        ),
        route("DELETE", "/api/v1/users/{name}", own, remove_user, "Remove an account."),
        route("GET", "/api/v1/tokens", own, list_tokens, "All tokens, without their secrets."),
        route(
            "POST",
            "/api/v1/tokens",
            own,
            create_token,
            "Create a token; its secret is in the answer, and nowhere else ever.",
            body="name, rights (watch, operate, publish), cameras?",
        ),
        route("DELETE", "/api/v1/tokens/{name}", own, revoke_token, "Revoke a token.", query=forget),
    ]


def _wrong_code() -> ApiError:
    return ApiError(403, "wrong_code", "This link is wrong, was used, or is too old; ask for another one")


def _session(service: Service, grant: Grant) -> dict[str, Any]:
    return {
        "open": service.access.open,
        "rights": sorted(right.value for right in Right if right is not Right.PUBLIC and grant.has(right)),
        "cameras": None if grant.cameras is None else sorted(grant.cameras),
        "name": grant.user or grant.name,
        "kind": grant.kind,
        "role": role_of(grant),
        "accounts": service.keyring.has_accounts,
        "setup": service.desk.waits_for_owner,
        "public_url": service.tunnel.public_url if grant.has(Right.WATCH) else None,
    }


def _enter(service: Service, call: Call, entered: Entered) -> web.StreamResponse:
    """The answer to who logged in."""
    call.request[WHO] = entered.grant.name
    response = json_response(_session(service, entered.grant))
    response.set_cookie(
        call.client.cookie,
        entered.cookie,
        max_age=SESSION_LIFE_S,
        path=call.client.cookie_path,
        httponly=True,
        samesite="Strict",
        secure=call.client.secure,
    )
    return response


def _cookie(call: Call) -> str:
    """The session's cookie that came along; empty for none."""
    return next((value for name in _COOKIES if (value := call.request.cookies.get(name))), "")


def _visit(call: Call) -> Visit:
    agent = call.request.headers.get("User-Agent", "").encode("utf-8", "replace").decode()  # it may be no text
    return Visit(call.client.address, agent)
