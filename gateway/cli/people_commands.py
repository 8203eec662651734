"""The commands about people: users, tokens, the audit log. For administrators."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from gateway.cli.exits import Exit, UsageMistake
from gateway.cli.session import Session, note, session_of
from gateway.cli.text import ago
from gateway.client import people
from gateway.model.people import Role, Scope
from gateway.model.users import Token, User

users_app = typer.Typer(help="People who may use the gateway.", no_args_is_help=True)
tokens_app = typer.Typer(help="Tokens: what people show to be let in.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the person.")]


@users_app.command("list")
def users_list(context: typer.Context) -> None:
    """List everybody."""
    session = session_of(context)
    with session.gateway() as client:
        found = client.run(people.users())
    if session.json:
        session.answer({"items": found})
        return
    session.table(("NAME", "ROLE", "SINCE", ""), ((u.name, u.role, ago(u.created_at), _remark(u)) for u in found))


def _remark(user: User) -> str:
    return "runs this gateway" if user.runs_gateway else "disabled" if user.disabled_at else ""


@users_app.command("add")
def users_add(
    context: typer.Context,
    name: Name,
    role: Annotated[Role, typer.Option(help="viewer: only look. user: run jobs. admin: everything.")] = Role.USER,
) -> None:
    """Let a person use the gateway."""
    session = session_of(context)
    with session.gateway() as client:
        made = client.run(people.add_user(name, role))
    _say(session, made)
    if not session.json:
        note(f"give them a token: gateway tokens add --person {name}")


@users_app.command("set-role")
def users_set_role(
    context: typer.Context, name: Name, role: Annotated[Role, typer.Argument(help="viewer, user or admin.")]
) -> None:
    """Change what a person may do."""
    session = session_of(context)
    with session.gateway() as client:
        _say(session, client.run(people.change_user(name, {"role": str(role)})))


@users_app.command("disable")
def users_disable(context: typer.Context, name: Name) -> None:
    """Let a person's tokens open nothing; their jobs go on."""
    _set_disabled(context, name, True)


@users_app.command("enable")
def users_enable(context: typer.Context, name: Name) -> None:
    """Let a disabled person in again."""
    _set_disabled(context, name, False)


def _set_disabled(context: typer.Context, name: str, disabled: bool) -> None:
    session = session_of(context)
    with session.gateway() as client:
        _say(session, client.run(people.change_user(name, {"disabled": disabled})))


@users_app.command("remove")
def users_remove(context: typer.Context, name: Name) -> None:
    """Forget a person with all tokens; not possible while jobs are theirs."""
    session = session_of(context)
    with session.gateway() as client:
        client.run(people.remove_user(name))
    if session.json:
        session.answer({"removed": name})
    else:
        note(f"{name} is removed")


def _say(session: Session, user: User) -> None:
    if session.json:
        session.answer(user)
    else:
        state = "is disabled" if user.disabled_at else f"has the role {user.role}"
        note(f"{user.name} {state}")


@tokens_app.command("list")
def tokens_list(
    context: typer.Context, person: Annotated[str | None, typer.Option(help="Whose (default: your own).")] = None
) -> None:
    """List tokens, without their secrets."""
    session = session_of(context)
    with session.gateway() as client:
        found = client.run(people.tokens(person))
    if session.json:
        session.answer({"items": found})
        return
    heads = ("ID", "PERSON", "LABEL", "SCOPES", "MADE", "USED", "STATE")
    session.table(
        heads,
        ((t.id, t.person, t.label, ",".join(t.scopes), ago(t.created_at), ago(t.used_at), _state(t)) for t in found),
    )


def _state(token: Token) -> str:
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is None:
        return "good"
    if token.expires_at <= datetime.now(UTC):
        return "expired"
    return f"good until {token.expires_at:%Y-%m-%d}"


@tokens_app.command("add")
def tokens_add(
    context: typer.Context,
    person: Annotated[str | None, typer.Option(help="Whose (default: your own).")] = None,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    scope: Annotated[list[Scope] | None, typer.Option(help="May be given again. Default: all of the role.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=36500, help="How long it is good (default: for ever).")] = None,
) -> None:
    """Make a token. Its secret goes to standard output, once."""
    session = session_of(context)
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    with session.gateway() as client:
        made = client.run(people.add_token(label, person, scope, expires_at))
    if session.json:
        session.answer(made)
        return
    print(made.secret, flush=True)
    if sys.stdout.isatty():
        note("this is shown only now: keep it, and send it as 'Authorization: Bearer …'")


@tokens_app.command("revoke")
def tokens_revoke(
    context: typer.Context, token: Annotated[str, typer.Argument(metavar="ID", help="Or the beginning of it.")]
) -> int:
    """Let a token open nothing any more."""
    session = session_of(context)
    with session.gateway() as client:
        token_id = token
        if len(token) < 36:
            meant = [found.id for found in client.run(people.tokens()) if found.id.startswith(token)]
            if len(meant) != 1:
                raise UsageMistake(f"{token!r} means {len(meant)} of your tokens", hint="give the whole id")
            token_id = meant[0]
        client.run(people.revoke_token(token_id))
    if session.json:
        session.answer({"revoked": token_id})
    else:
        note(f"token {token_id} is revoked")
    return Exit.DONE


def audit(
    context: typer.Context,
    person: Annotated[str | None, typer.Option(help="Who asked.")] = None,
    owner: Annotated[str | None, typer.Option(help="On whose behalf.")] = None,
    action: Annotated[str | None, typer.Option(help="Such as submit_job.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="How many, the newest.")] = 50,
) -> None:
    """Show who changed what."""
    session = session_of(context)
    given = {"person": person, "owner": owner, "action": action}
    filters = {name: value for name, value in given.items() if value is not None}
    with session.gateway() as client:
        found = client.run(people.audit(limit, filters))
    if session.json:
        session.answer({"items": found})
        return
    heads = ("AT", "PERSON", "FOR", "ACTION", "STATUS", "PATH", "REQUEST")
    session.table(
        heads,
        (
            (
                f"{entry.at:%Y-%m-%d %H:%M:%S}",
                entry.person,
                entry.owner if entry.owner not in (None, entry.person) else "",
                entry.action,
                str(entry.status),
                entry.path,
                entry.request,
            )
            for entry in found
        ),
    )


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(users_app, name="users")
    app.add_typer(tokens_app, name="tokens")
    app.command()(audit)
