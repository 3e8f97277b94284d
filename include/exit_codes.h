/* What every command's exit status means; what is printed on standard error says the rest. */
#ifndef EXIT_CODES_H
#define EXIT_CODES_H

enum {
	EXIT_FINE = 0,
	EXIT_NO = 1,     /* the answer is "no": a violation, an invalid policy */
	EXIT_USAGE = 2,  /* the command line is wrong, or a file cannot be read */
	EXIT_CANNOT = 3, /* this machine cannot do it; the message says what is missing and what to do */
};

#endif
