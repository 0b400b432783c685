"""Settings: who wins, and errors that name the place and keep passwords to themselves."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schedy import settings as settings_module
from schedy.errors import SettingsError
from schedy.settings import DEFAULT_BROKER_URL, Settings, load_settings
from schedy.urls import without_password

SECRET = "s3cret"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The default data folder (see `_own_settings`)."""
    made = tmp_path / ".schedy"
    made.mkdir()
    return made


def broker(host: str) -> str:
    return f"amqp://u:{SECRET}@{host}/%2F"


def write_run_file(folder: Path, **more: Any) -> None:
    (folder / "run.json").write_text(json.dumps({"host": socket.gethostname(), "broker_url": broker("run"), **more}))


class TestPrecedence:
    def test_defaults(self, tmp_path: Path) -> None:
        settings = load_settings(environment={})
        assert settings.broker_url == DEFAULT_BROKER_URL
        assert settings.data_dir == tmp_path / ".schedy"
        assert settings.effective_store_url == f"sqlite:///{tmp_path}/.schedy/schedy.sqlite"
        assert settings.lease_seconds == 30.0

    def test_each_source_gives_way_to_the_one_above(self, folder: Path) -> None:
        write_run_file(folder, store_url="sqlite:////run")
        assert load_settings(environment={}).broker_url == broker("run")
        (folder / "config.toml").write_text(f'broker_url = "{broker("file")}"\nlease_seconds = 5\n')
        assert load_settings(environment={}).broker_url == broker("file")
        environment = {"SCHEDY_BROKER_URL": broker("environment")}
        assert load_settings(environment=environment).broker_url == broker("environment")
        override = {"broker_url": broker("override")}
        settings = load_settings(override=override, environment=environment)
        assert (settings.broker_url, settings.lease_seconds) == (broker("override"), 5.0)
        assert settings.store_url == "sqlite:////run"

    def test_a_named_file_stands_in_for_the_default_one(self, folder: Path, tmp_path: Path) -> None:
        (folder / "config.toml").write_text("lease_seconds = 5\n")
        (tmp_path / "named.toml").write_text("max_attempts = 7\n")
        for settings in (
            load_settings(tmp_path / "named.toml", environment={}),
            load_settings(environment={"SCHEDY_CONFIG": str(tmp_path / "named.toml")}),
        ):
            assert (settings.lease_seconds, settings.max_attempts) == (30.0, 7)

    def test_the_data_folder_of_a_file_holds_the_run_file(self, folder: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        write_run_file(other)
        (folder / "config.toml").write_text(f'data_dir = "{other}"\n')
        settings = load_settings(environment={})
        assert (settings.data_dir, settings.broker_url) == (other, broker("run"))

    def test_a_home_folder_is_written_with_a_tilde(self, tmp_path: Path) -> None:
        assert load_settings(environment={"SCHEDY_DATA_DIR": "~/x"}).data_dir == tmp_path / "x"

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"host": "elsewhere", "broker_url": "amqp://x/"}'])
    def test_a_run_file_of_no_use_is_passed_over(self, folder: Path, content: str) -> None:
        (folder / "run.json").write_text(content)
        assert load_settings(environment={}).broker_url == DEFAULT_BROKER_URL

    def test_an_empty_variable_is_none(self) -> None:
        assert load_settings(environment={"SCHEDY_BROKER_URL": ""}).broker_url == DEFAULT_BROKER_URL


class TestSeveralBrokers:
    @pytest.mark.parametrize(
        ("urls", "split"),
        [
            (broker("a"), [broker("a")]),
            (f"{broker('a')},{broker('b')}", [broker("a"), broker("b")]),
            (f" {broker('a')} ,\n amqps://b/ ", [broker("a"), "amqps://b/"]),
            (f"amqp://u:a,b@h/,{broker('b')}", ["amqp://u:a,b@h/", broker("b")]),
        ],
    )
    def test_urls_are_split_at_commas_that_a_url_follows(self, folder: Path, urls: str, split: list[str]) -> None:
        (folder / "config.toml").write_text(f"broker_url = {json.dumps(urls)}\n")
        assert list(load_settings(environment={}).broker_urls) == split
        assert list(load_settings(environment={"SCHEDY_BROKER_URL": urls}).broker_urls) == split
        assert list(load_settings(override={"broker_url": urls}, environment={}).broker_urls) == split


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("\nlease_secnds = 3\n", "toml, line 2: unknown setting 'lease_secnds'. Did you mean 'lease_seconds'?"),
            ("# zzz\n[zzz]\na = 1\n", "toml, line 2: unknown setting 'zzz'. docs/settings.md lists the settings."),
            ('max_attempts = 1\n"zzz" = 1\n', "config.toml, line 2: unknown setting 'zzz'"),
            ("lease_seconds = 'long'\n", "config.toml: The setting lease_seconds (SCHEDY_LEASE_SECONDS) is invalid"),
            ("lease_seconds = nan\n", "The setting lease_seconds"),
            ("lease_seconds = inf\n", "The setting lease_seconds"),
            ("lease_seconds = 0\n", "greater than or equal to 0.5"),
            ("log_level = 'LOUD'\n", "expected DEBUG, INFO, WARNING or ERROR"),
            ("lease_seconds = \n", "is not valid TOML"),
        ],
    )
    def test_in_a_file_name_file_key_and_line(self, folder: Path, text: str, words: str) -> None:
        (folder / "config.toml").write_text(text)
        with pytest.raises(SettingsError) as caught:
            load_settings(environment={})
        assert words in str(caught.value)
        assert str(folder) in str(caught.value)

    def test_in_the_environment_name_the_variable(self) -> None:
        with pytest.raises(SettingsError, match=r"max_attempts \(SCHEDY_MAX_ATTEMPTS\) is invalid"):
            load_settings(environment={"SCHEDY_MAX_ATTEMPTS": "many"})

    def test_an_override_that_nobody_knows(self) -> None:
        with pytest.raises(SettingsError, match=r"unknown setting 'broker'\. Did you mean 'broker_url'"):
            load_settings(override={"broker": "amqp://x/"}, environment={})

    def test_a_file_that_was_named_must_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"none\.toml does not exist"):
            load_settings(tmp_path / "none.toml", environment={})

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="cannot be read"):
            load_settings(tmp_path, environment={})
        (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
        with pytest.raises(SettingsError, match="cannot be read"):
            load_settings(tmp_path / "latin.toml", environment={})


BAD_URLS = [
    f"http://u:{SECRET}@host/",
    f"amqp:u:{SECRET}",
    f"amqp://u:{SECRET}@/",
    f"amqp://u:{SECRET}@[host/",
    f"amqp://u:a/{SECRET}@host/",
    f"amqp://u:a#{SECRET}@host/",
    f"amqp://u:a?{SECRET}@host/",
    f"amqp://u:{SECRET}@host:port/",
    f"amqp://u:pw@host:{SECRET}/",
    f"amqp://u:{SECRET}@host:99999/",
    f"amqp://u:{SECRET}",
    f"amqp://u:{SECRET}@h1,h2/",
    f"amqp://u:{SECRET}@h1/,http://u:{SECRET}@h2/",
    f"amqp://u:{SECRET}@h1/,amqp://u:a/{SECRET}@h2/",
    f"amqp://u:a,amqp://{SECRET}@h1/",
]


class TestPasswords:
    @pytest.mark.parametrize("url", BAD_URLS)
    def test_a_url_that_cannot_be_used_is_refused_without_saying_it(self, folder: Path, url: str) -> None:
        (folder / "config.toml").write_text(f'broker_url = "{url}"\n')
        with pytest.raises(SettingsError, match=r"broker_url .* expected amqp://USER:PASSWORD@HOST") as caught:
            load_settings(environment={})
        assert SECRET not in str(caught.value)
        with pytest.raises(SettingsError) as caught:
            load_settings(environment={"SCHEDY_BROKER_URL": url})
        assert SECRET not in str(caught.value)

    def test_settings_show_no_password(self) -> None:
        settings = Settings(broker_url=broker("h"), store_url=f"postgresql://u:{SECRET}@h/db")
        assert SECRET not in repr(settings)
        assert SECRET not in str(settings)
        assert settings.model_dump()["broker_url"] == broker("h")

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            (broker("h:1"), "amqp://u@h:1/%2F"),
            (f"postgresql+psycopg://u:p/{SECRET}@h/db", "postgresql+psycopg://u@h/db"),
            (f"amqp://u:a@{SECRET}@h/", "amqp://u@h/"),
            (f"amqp://:{SECRET}@h/", "amqp://@h/"),
            (f"amqp://u:{SECRET}@[h", "amqp://u@[h"),
            ("amqp://u@h/", "amqp://u@h/"),
            ("amqp://h/", "amqp://h/"),
            ("sqlite:////home/a:b@c/x", "sqlite:////home/a:b@c/x"),
            (
                f"postgresql+psycopg:///db?host=h&user=u&password={SECRET}&x=1",
                "postgresql+psycopg:///db?host=h&user=u&password=***&x=1",
            ),
            (f"postgresql+psycopg://u:p@h/db?sslpassword={SECRET}", "postgresql+psycopg://u@h/db?sslpassword=***"),
            (f"postgresql+psycopg:///db?%70assword={SECRET}", "postgresql+psycopg:///db?%70assword=***"),
            (f"amqp://u@h/?Password={SECRET}", "amqp://u@h/?Password=***"),
            (f"{broker('a')},{broker('b')}", "amqp://u@a/%2F, amqp://u@b/%2F"),
            (f"{broker('a')} , amqps://v:{SECRET}@b/", "amqp://u@a/%2F, amqps://v@b/"),
            (f"amqp://u:a,{SECRET}@a/,{broker('b')}", "amqp://u@a/, amqp://u@b/%2F"),
        ],
    )
    def test_a_url_is_shown_without_it(self, url: str, shown: str) -> None:
        assert without_password(url) == shown


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("TERM,USR1", ("TERM", "USR1")),
        (" sigterm, SIGXCPU ", ("TERM", "XCPU")),
        (["HUP", "SIGUSR2"], ("HUP", "USR2")),
        ([], ()),
        ("", ()),
    ],
)
def test_stop_signals_are_named_in_several_ways(given: object, names: tuple[str, ...]) -> None:
    assert load_settings(override={"stop_signals": given}, environment={}).stop_signal_names == names


@pytest.mark.parametrize("given", ["KILL", "TERM;HUP", "15", "CHLD"])
def test_a_signal_that_cannot_stop_a_worker_is_refused(given: str) -> None:
    with pytest.raises(
        SettingsError, match=r"stop_signals \(SCHEDY_STOP_SIGNALS\) is invalid: .*: expected some of TERM,"
    ):
        load_settings(override={"stop_signals": given}, environment={})


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What is logged; each variable is warned of once in a process."""
    settings_module._warn_of.cache_clear()
    yield caplog
    settings_module._warn_of.cache_clear()


def test_a_variable_that_is_no_setting_is_noticed_once(warnings: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        load_settings(environment={"SCHEDY_BROKR_URL": "amqp://u:s3cret@mq", "SCHEDY_XYZZY": "1", "OTHER": "1"})
    assert [record.getMessage() for record in warnings.records] == [
        "The environment variable SCHEDY_BROKR_URL is not a setting of Schedy, and has no effect."
        " Did you mean SCHEDY_BROKER_URL?",
        "The environment variable SCHEDY_XYZZY is not a setting of Schedy, and has no effect."
        " docs/settings.md lists the settings.",
    ]


def test_the_variables_that_are_used_are_no_surprise(warnings: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Those of the settings, of the documents and of this repository."""
    root = Path(__file__).parents[2]
    sources = [*root.glob("docs/*.md"), root / "docker-compose.yml", root / "tests" / "conftest.py"]
    used = {name for source in sources for name in re.findall(r"SCHEDY_[A-Z_]*[A-Z]", source.read_text())}
    assert len(used) > 30
    settings_module._warn_of_unknown(dict.fromkeys(used - {"SCHEDY_BROKER"}, "1"))
    assert warnings.records == []


def test_where_a_setting_is_set(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('broker_url = "amqp://mq"\n')
    (tmp_path / "run.json").write_text('{"broker_url": "amqp://mq"}')
    for_folder = {"SCHEDY_DATA_DIR": str(tmp_path)}
    found = settings_module.origin_of("broker_url", environment=for_folder)
    assert found == f"broker_url in {tmp_path}/config.toml"
    assert settings_module.origin_of("broker_url", override={"data_dir": tmp_path}, environment={}) == found
    assert (
        settings_module.origin_of("broker_url", environment={**for_folder, "SCHEDY_BROKER_URL": "x"})
        == "SCHEDY_BROKER_URL"
    )
    assert settings_module.origin_of("store_url", environment=for_folder) is None
