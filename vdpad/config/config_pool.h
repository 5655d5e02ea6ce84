// SPDX-License-Identifier: GPL-2.0-or-later
// Sections [pool NAME] of a configuration file. Private to config.c and config_sections.c.

#pragma once

#include "vdpad/config/config_sections.h"

// [pool @name] begins.
int config_pool_open(struct config_parser *p, const char *name);

// One key of the pool that was opened last.
int config_pool_on_key(struct config_parser *p, const char *key, const char *value);

// All files are read: what can be judged only when a section is complete.
int config_pool_finish(struct config_parser *p);

void config_pool_forget_places(struct config_parser *p);
