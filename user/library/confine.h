/* Giving up every right before a foreign library is read and run: see confine.c. Each returns 0 or -errno. */
#ifndef CONFINE_H
#define CONFINE_H

/* Identity, capabilities, dumps, limits; dies with its parent. First of all. */
int confine_rights(void);
/* What loading needs, and no more: nothing can be opened any more. Before the first byte of the file is looked at. */
int confine_to_loading(void);
/* Writing the answer to that descriptor, and ending. Before the first foreign instruction. */
int confine_to_answering(int answer_fd);

#endif
