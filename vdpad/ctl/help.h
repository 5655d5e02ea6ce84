// SPDX-License-Identifier: GPL-2.0-or-later
// Help, and the words that complete a command line, both from the command table.

#pragma once

#include "vdpad/ctl/command.h"

// The overview, an object, or one command, as @request says.
void help_print(const struct request *request);

// Print the words that could stand at the end of the @n @words typed so far (without "vdpactl"; the
// last one is being typed and may be empty), one a line. Asks vdpad for names, but not for long.
// Returns false where the name of a file belongs.
bool complete_print(const char *const *words, size_t n);
