"""A workspace with our app in it, and the directory that asks it, for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters.chat.directory_cache import DirectoryCache, InMemoryDirectoryCache
from adapters.slack.client import SlackApi as WebApi
from adapters.slack.client import SlackClients
from adapters.slack.directory import SlackDirectory, SlackRules
from adapters.slack.installations import InMemoryInstallations, Installation
from bot.directory import CompanyDirectory, EmptyDirectory
from tests.builders import TENANT
from tests.fakes.slack_api import SlackApi


@asynccontextmanager
async def a_slack(
    company: CompanyDirectory | None = None,
    rules: SlackRules | None = None,
    *,
    cache: DirectoryCache | None = None,
) -> AsyncIterator[tuple[SlackApi, SlackDirectory]]:
    """The workspace T1, empty but for the app."""
    async with SlackApi() as api:
        api.workspace("T1")
        api.install("T1")
        async with a_directory(api, company, rules, cache=cache) as directory:
            yield api, directory


@asynccontextmanager
async def a_directory(
    api: SlackApi,
    company: CompanyDirectory | None = None,
    rules: SlackRules | None = None,
    *,
    cache: DirectoryCache | None = None,
) -> AsyncIterator[SlackDirectory]:
    """Over all installations that *api* has by now."""
    web = WebApi(api.url)
    installations = []
    for install in api.slack.world.installs:
        is_org = install.is_enterprise_install
        enterprise = install.home if is_org else api.slack.world.enterprise_of(install.home)
        team = "" if is_org else install.home
        installations.append(Installation(enterprise or "", team, install.token, install.bot_user))
    directory = SlackDirectory(
        SlackClients(web, InMemoryInstallations(*installations)),
        cache or InMemoryDirectoryCache(),
        company or EmptyDirectory(),
        tenant=TENANT,
        rules=rules or SlackRules(),
    )
    try:
        yield directory
    finally:
        await directory.close()
        await web.close()
