"""`python -m recq_lib …`"""

import sys

from recq_lib.cli import main

sys.exit(main())
