"""The ground of every test: real PostgreSQL and Valkey, Django as the application role, a time limit.

Tests use `db` (rolled back) or commit rows of their own with unique names (not cleaned). There is
no `transactional_db`: it empties tables by TRUNCATE, which the application role may not.
"""

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import django
import pytest
from django.template.base import Template
from django.test import Client, override_settings
from hypothesis import settings as hypothesis_settings
from whitenoise.middleware import WhiteNoiseMiddleware
from xdist.scheduler import LoadScopeScheduling

from tests.environment import fixed_environment
from tests.gate import numbers_by_file
from tests.services import (
    FACTS,
    ROOT,
    VALKEY_DATABASES,
    Services,
    claim_part,
    let_one_collect_first,
    part_of,
    provide_services,
)

DEFAULT_TIME_LIMIT_S = 60
# What these tests share is dear: a browser, a server of a module's own, a first start. xdist's groups have no effect with this pytest.
ON_ONE_WORKER = (
    "tests/browser/",
    "tests/flows/test_slow_readers.py",
    "tests/portal/embedded/test_stores.py",
    "tests/portal/quickstart/test_whole_run.py",
    "tests/portal/test_connections.py",
)
PLAIN_RENDER = Template._render  # type: ignore[attr-defined]
# Each takes three of Valkey's databases, and one is nobody's.
MOST_WORKERS = (VALKEY_DATABASES - 1) // 3
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
# Two busy cores must not fail a property by its pace.
hypothesis_settings.register_profile("latchkey", deadline=None, max_examples=60)
hypothesis_settings.load_profile("latchkey")
# A run imports and collects half a million objects that stay: to look through them for garbage at every turn costs a tenth of it.
gc.set_threshold(50_000, 20, 20)
JOURNAL_DIR = tempfile.TemporaryDirectory(prefix="latchkey-journal-")


# Settings and models are imported by test modules and by conftests below this one, before any hook
# of ours could run; so the environment is complete when this module has been imported.
if FACTS not in os.environ:
    os.environ.update(fixed_environment(journal_dir=JOURNAL_DIR.name))
os.environ["LATCHKEY_JOURNAL_DIR"] = JOURNAL_DIR.name
GATE = numbers_by_file()
SERVICES = provide_services()
let_one_collect_first(SERVICES, WORKER)
MIGRATION_ERROR = pytest.StashKey[str]()
ENVIRONMENT = part_of(SERVICES, WORKER)
os.environ.update(ENVIRONMENT)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup()


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker of the time limit, and let each worker find its own settings."""
    config.addinivalue_line("markers", "time_limit_s(n): end this test after n seconds, not 60.")
    config.addinivalue_line(
        "markers", "gate(numbers): of the gate suite, as docs/gate.md lists it."
    )
    if config.getoption("dist", default="no") != "no":
        # Workers inherit this environment. With the settings named in it, pytest-django would read
        # them in each worker before that worker's own database is known.
        os.environ.pop("DJANGO_SETTINGS_MODULE", None)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test of the gate suite, before `-m gate` chooses by it."""
    numbers = GATE.get(str(item.path.relative_to(ROOT)))
    if numbers:
        item.add_marker(pytest.mark.gate(*numbers))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run two workers on each core: half of what tests take is waiting for other processes."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(2 * cores, MOST_WORKERS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "Scheduler":
    """Send what shares something dear to one worker, and every other test to whichever is free."""
    return Scheduler(config, log)


class Scheduler(LoadScopeScheduling):  # type: ignore[misc]
    """Hands tests out one by one but for those that stay together, from both ends of their order.

    Tests that compute stand before those that wait for other processes: half the workers come from either end, so
    that no core is idle while the other half is still to be computed.
    """

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        """Keep the order: by default what holds most tests would come first."""
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return next((place for place in ON_ONE_WORKER if nodeid.startswith(place)), nodeid)

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """Forget what is done: for each of thousands of tests xdist would look through it again."""
        done = {
            scope: unit for scope, unit in self.assigned_work[node].items() if all(unit.values())
        }
        for scope in done:
            del self.assigned_work[node][scope]
        super().mark_test_complete(node, item_index, duration)

    def _assign_work_unit(self, node: Any) -> None:
        if int(node.gateway.id.removeprefix("gw")) % 2:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what is taken back, as such a test may count on empty tables, and end with what may take longest."""
    items.sort(key=place_of)


def place_of(item: pytest.Item) -> tuple[bool, bool, bool, int]:
    """Where the test stands among all: at either end what may take longest.

    What calls a running gateway is taken from the end by half the workers, each of which starts one.
    """
    limit_s = time_limit_of(item)
    if is_taken_back(item):
        return False, False, False, -limit_s
    return True, stays(item), item.nodeid.startswith("tests/flows/"), limit_s


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Look through what tests make for garbage, and no more through what was there before the first; claim this worker's part."""
    gc.collect()
    gc.freeze()
    session.config.stash[MIGRATION_ERROR] = claim_part(SERVICES, WORKER)


def stays(item: pytest.Item) -> bool:
    """Whether the test is one of a chain that one worker runs."""
    return item.nodeid.startswith(ON_ONE_WORKER)


def is_taken_back(item: pytest.Item) -> bool:
    """Whether the test's rows are, rather than committed for whoever comes after."""
    if stays(item):
        return False
    uses_db = "db" in getattr(item, "fixturenames", ())
    return uses_db or item.get_closest_marker("django_db") is not None


def time_limit_of(item: pytest.Item) -> int:
    """The seconds that a test may take."""
    marker = item.get_closest_marker("time_limit_s")
    return int(marker.args[0]) if marker else DEFAULT_TIME_LIMIT_S


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that takes longer than its limit, instead of hanging the run."""
    limit_s = time_limit_of(item)

    def give_up(number: int, frame: FrameType | None) -> None:
        pytest.fail(f"The test took longer than {limit_s} s.")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(limit_s)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def services() -> Services:
    """The servers this run uses, with the superuser's URL."""
    return SERVICES


@pytest.fixture(scope="session")
def django_db_setup(pytestconfig: pytest.Config) -> None:
    """Use this worker's clone of the migrated template; pytest-django is not to make its own."""
    if error := pytestconfig.stash[MIGRATION_ERROR]:
        pytest.fail(f"The template was not migrated:\n{error}")


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Spend no time on hashing passwords that tests do not try."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(scope="session", autouse=True)
def sign_ins_leave_a_proof() -> Iterator[None]:
    """Let `force_login` leave what a sign-in by password leaves: when, and by what, the person proved who they are."""
    log_in = Client.force_login

    def log_in_with_proof(client: Client, user: Any, backend: str | None = None) -> None:
        log_in(client, user, backend)
        # It knows models, which are there once Django is set up.
        from tests.signed_in import leave_proof  # noqa: PLC0415

        leave_proof(client, user)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "force_login", log_in_with_proof)
        yield


@pytest.fixture(scope="session", autouse=True)
def static_files_found_once() -> Iterator[None]:
    """Share what the first client of this process finds in the static folders; each would look for itself."""
    found: dict[str, object] = {}
    look = WhiteNoiseMiddleware.add_files_from_finders

    def look_once(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            look(middleware)
            found.update(middleware.files)
        middleware.files = dict(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", look_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def templates_rendered_plainly(django_test_environment: None) -> Iterator[None]:
    """Render as the server does. Django's tests note each template that was seen, and a page has thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "_render", PLAIN_RENDER)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_gateway_left() -> Iterator[None]:
    """Stop the gateway that a view of a call starts in this process, while its log can still be written."""
    yield
    background = sys.modules.get("proxy.api.background")
    if background is not None:
        background.stop_background_door()


@pytest.fixture
def transactional_db() -> None:
    """Refuse: the application role may not TRUNCATE."""
    pytest.fail("Use `db`, or commit rows with unique names; tables cannot be emptied here.")


@pytest.fixture(scope="session")
def database_url() -> str:
    """The worker's database as the application role."""
    return ENVIRONMENT["LATCHKEY_DATABASE_URL"]


@pytest.fixture(scope="session")
def migrator_url() -> str:
    """The worker's database as the role that owns the tables."""
    return ENVIRONMENT["LATCHKEY_DATABASE_MIGRATOR_URL"]


@pytest.fixture(scope="session")
def broker_url() -> str:
    """The worker's Valkey database for jobs, in the form Celery reads."""
    return ENVIRONMENT["LATCHKEY_BROKER_URL"]


@pytest.fixture(scope="session")
def cache_url() -> str:
    """The worker's Valkey database for the cache."""
    return ENVIRONMENT["LATCHKEY_CACHE_URL"]


@pytest.fixture(scope="session")
def limits_url() -> str:
    """The worker's Valkey database for limits."""
    return ENVIRONMENT["LATCHKEY_LIMITS_URL"]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return ROOT
