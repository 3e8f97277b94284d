/* Events about library files: attached, detached, unsupported. Paths and versions in them are a stranger's. */
#include "library_tell.h"

#include "util.h"

bool library_tell(struct sink *sink, const struct message *message)
{
	const struct message_library *library = &message->library;
	char build_id[2 * BUILD_ID_MAX + 1];
	const struct event_detail details[] = {
		{.key = "library.name", .text = library->kind == LIBRARY_GNUTLS ? "gnutls" : "openssl"},
		{.key = "library.version", .text = library->version},
		{.key = "library.path", .text = library->path},
		{.key = "library.build_id", .text = build_id},
	};
	const struct event_detail why[] = {
		{.key = "library.path", .text = library->path},
		{.key = "library.version", .text = library->version},
		{.key = "reason", .text = message->text},
	};

	if (message->tag == MESSAGE_UNSUPPORTED)
		return sink_agent(sink, "library-unsupported", "failure", why, ARRAY_SIZE(why));
	hex_encode(library->build_id, library->build_id_len, false, build_id);
	return sink_agent(sink, message->tag == MESSAGE_LIBRARY ? "library-attached" : "library-detached", "success",
			  details, ARRAY_SIZE(details));
}
