// Included by bcc's helpers; nothing of it is used by programs that only trace.
#pragma once
