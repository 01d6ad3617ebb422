"""The bench's directories keep every promise of the ports: what is measured is measured over honest storage."""

from ports.test_holds import *  # noqa: F403
from ports.test_points import *  # noqa: F403
from ports.test_restores import *  # noqa: F403
from ports.test_storage import *  # noqa: F403
