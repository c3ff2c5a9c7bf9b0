"""`segmill keys`: keys of the HTTP API."""

import click

from serving.api_keys import Scope, new_key

_SCOPES = tuple(scope.value for scope in Scope)


@click.group("keys")
def keys_group() -> None:
    """Keys of the HTTP API."""


@keys_group.command("new")
@click.argument("name")
@click.option("--scope", "scopes", type=click.Choice(_SCOPES), multiple=True, default=("read",), show_default=True,
              help="What it may do; may be repeated.")  # fmt: skip
def new_command(name: str, scopes: tuple[str, ...]) -> None:
    """Make a key for NAME.

    The key itself goes to standard error, once: it is not kept anywhere. What goes to standard output belongs into the
    file of `segmill serve --keys`, and holds its hash only.

    \b
      segmill keys new shop-page --scope read >> keys.toml
    """
    if not name.isprintable() or '"' in name or "\\" in name or not name.strip():
        raise click.UsageError(f"{name!r}: a name of letters, digits, blanks and the like is needed")
    key, digest = new_key()
    listed = ", ".join(f'"{scope}"' for scope in dict.fromkeys(scopes))
    click.echo(f'[[keys]]\nname = "{name}"\nsha256 = "{digest}"\nscopes = [{listed}]\n')
    click.echo(key, err=True)
