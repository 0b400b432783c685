from tests.integration.conftest_h2 import node, vhost_url

__all__ = ["node", "vhost_url"]
