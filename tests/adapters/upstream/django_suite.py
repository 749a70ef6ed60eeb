"""Run the tests that Django has for all its cache backends, from an unpacked sdist of Django, against kvd.

python django_suite.py DIRECTORY-OF-DJANGO ENDPOINT
"""

import sys
from pathlib import Path
from unittest import TestSuite

import django
from django.conf import settings
from django.test import TestCase, override_settings
from django.test.runner import DiscoverRunner

directory, endpoint = sys.argv[1:]
sys.path.insert(0, str(Path(directory) / "tests"))
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["cache"],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    SECRET_KEY="tests",
    USE_TZ=False,
    ALLOWED_HOSTS=["testserver"],
)
django.setup()

from cache.tests import BaseCacheTests, CacheMiddlewareTest, caches_setting_for_tests  # noqa: E402  # of the sdist, once Django is set up

CACHES = caches_setting_for_tests(
    base={
        "BACKEND": "kvclient.adapters.django.KvdCache",
        "LOCATION": endpoint,
        "OPTIONS": {"pickle": True, "timeout": 30},
    },
    exclude={"cull", "zero_cull"},  # nothing is culled
)


@override_settings(CACHES=CACHES)
class KvdCacheTests(BaseCacheTests, TestCase):
    """Django's tests, each of which stands for itself."""


MIDDLEWARE = {"default": CACHES["default"], "other": {**CACHES["default"], "KEY_PREFIX": "other", "TIMEOUT": "1"}}


@override_settings(CACHES=MIDDLEWARE)
class KvdMiddlewareTests(CacheMiddlewareTest):
    """Django's tests of the cache for whole sites and views, which stores responses."""


runner = DiscoverRunner(verbosity=1)
databases = runner.setup_databases()
suite = TestSuite(map(runner.test_loader.loadTestsFromTestCase, [KvdCacheTests, KvdMiddlewareTests]))
result = runner.run_suite(suite)
runner.teardown_databases(databases)
print(f"{result.testsRun} run, {len(result.failures) + len(result.errors)} failed, {len(result.skipped)} skipped")
sys.exit(not result.wasSuccessful())
