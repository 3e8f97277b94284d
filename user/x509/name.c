/* Distinguished names as text (names.h): RFC 2253 order and escapes, with text_escape for what is unsafe to print.
 *
 * X509_NAME_print_ex is not used, for its escapes would have to be escaped once more. Here a backslash is followed by: a
 * special character of RFC 2253, a backslash, or xNN, a byte; so different names give different text. Values are an
 * attacker's; a name is as long as the certificate allows. */
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/objects.h>

#include "names.h"

enum { OID_TEXT_MAX = 128 }; /* longer dotted OIDs are cut: they are only shown */

/* The value as UTF-8, escaped. NULL if it is not a string at all. */
static char *value_text(const ASN1_STRING *value)
{
	unsigned char *utf8 = NULL;
	char *text;
	int len;

	len = ASN1_STRING_to_UTF8(&utf8, value);
	if (len < 0)
		return NULL;
	text = text_escape(utf8, (size_t)len);
	OPENSSL_free(utf8);
	return text;
}

/* What RFC 2253 2.4 gives to values that are no strings, or whose type is not known: # and the DER in hex. */
static char *value_hex(const ASN1_STRING *value)
{
	unsigned char *der = NULL;
	int len = i2d_ASN1_PRINTABLE(value, &der);
	char *text;

	if (len < 0)
		return xstrdup("#");
	text = xcalloc(2 * (size_t)len + 2, 1);
	text[0] = '#';
	hex_encode(der, (size_t)len, false, text + 1);
	OPENSSL_free(der);
	return text;
}

static void write_escaped(FILE *out, const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++) {
		bool first = i == 0, last = i == len - 1;

		if (strchr(",+\"<>;", text[i]) || (text[i] == ' ' && (first || last)) || (text[i] == '#' && first))
			fputc('\\', out);
		fputc(text[i], out);
	}
}

static void write_entry(FILE *out, const X509_NAME_ENTRY *entry)
{
	const ASN1_OBJECT *object = X509_NAME_ENTRY_get_object(entry);
	const ASN1_STRING *value = X509_NAME_ENTRY_get_data(entry);
	int nid = OBJ_obj2nid(object);
	CLEANUP_FREE char *text = NULL;
	char oid[OID_TEXT_MAX];

	if (nid == NID_undef) {
		if (OBJ_obj2txt(oid, sizeof(oid), object, 1) <= 0)
			strcpy(oid, "unknown");
		text = value_hex(value);
		fprintf(out, "%s=%s", oid, text);
		return;
	}
	fprintf(out, "%s=", OBJ_nid2sn(nid));
	text = value_text(value);
	if (text) {
		write_escaped(out, text);
		return;
	}
	text = value_hex(value);
	fputs(text, out);
}

char *name_text(const X509_NAME *name)
{
	int count = X509_NAME_entry_count(name), set = -1;
	size_t len = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return xstrdup("");
	/* RFC 2253 2.1: the last first. Entries of one set are one RDN of several values. */
	for (int i = count - 1; i >= 0; i--) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);

		if (set >= 0)
			fputc(set == X509_NAME_ENTRY_set(entry) ? '+' : ',', out);
		set = X509_NAME_ENTRY_set(entry);
		write_entry(out, entry);
	}
	if (fclose(out)) {
		free(text);
		return xstrdup("");
	}
	return text;
}

char *name_attribute(const X509_NAME *name, int nid)
{
	int at = -1, last = -1;
	const ASN1_STRING *value;
	char *text;

	while ((at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0)
		last = at;
	if (last < 0)
		return NULL;
	value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last));
	text = value_text(value);
	return text ? text : value_hex(value);
}
