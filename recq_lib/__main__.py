"""`python -m recq_lib …`, the same as `recq …`"""

import sys

from recq_lib.cli.main import main

sys.exit(main())
