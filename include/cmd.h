/* Sub-commands: each takes argv from its own name on and returns an exit code. */
#ifndef CMD_H
#define CMD_H

#include "exit_codes.h"

int cmd_run(int argc, char **argv);
int cmd_watch(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_test(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_pin(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_learn(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_coverage(int argc, char **argv);

#endif
