// The known tables as they are: known.c needs nothing of the core.
#include "known.h"
