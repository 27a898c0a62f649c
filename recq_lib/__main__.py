"""`python -m recq_lib …`"""

import sys

from recq_lib.cli.main import main

sys.exit(main())
