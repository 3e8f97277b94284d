/* Reads an ELF64 little-endian file of this machine's type, in place.
 *
 * The file may be an attacker's: every offset and length is checked against the mapped size before use, every structure
 * is copied out before it is looked at, every walk has an end. Nothing is written and nothing allocated. A file that
 * shrinks while it is read ends the process by SIGBUS, which is why this runs only in the confined half.
 *
 * Symbols come from .dynsym by its GNU hash (what ld.so would find), then from .dynsym's and .symtab's sections, in order.
 * Bounds: ELF_FILE_MAX, SEGMENTS_MAX, and those below. Follows the System V gABI, chapters 4 and 5.
 */
#include "elf_file.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
	DYNAMIC_MAX = 1024,    /* entries of PT_DYNAMIC; later ones are not seen */
	HASH_WALK_MAX = 65536, /* steps along one hash chain; beyond it the name counts as not there */
	SECTIONS_MAX = 65536,  /* section headers; later ones are not seen */
	NOTES_MAX = 64,        /* notes of one segment; later ones are not seen */
};

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#else
#error "relocations of this machine are not known"
#endif

bool elf_file_read(const struct elf_file *elf, uint64_t offset, void *out, size_t len)
{
	if (offset > elf->size || len > elf->size - offset)
		return false;
	memcpy(out, elf->data + offset, len);
	return true;
}

bool elf_file_offset(const struct elf_file *elf, uint64_t address, uint64_t len, uint64_t *ret)
{
	for (size_t i = 0; i < elf->segments_count; i++) {
		const Elf64_Phdr *segment = &elf->segments[i];
		uint64_t within = address - segment->p_vaddr;

		if (segment->p_type != PT_LOAD || address < segment->p_vaddr || within > segment->p_filesz ||
		    len > segment->p_filesz - within)
			continue;
		*ret = segment->p_offset + within;
		return true;
	}
	return false;
}

const Elf64_Phdr *elf_file_segment(const struct elf_file *elf, uint64_t address, uint32_t flags)
{
	for (size_t i = 0; i < elf->segments_count; i++) {
		const Elf64_Phdr *segment = &elf->segments[i];

		if (segment->p_type == PT_LOAD && (segment->p_flags & flags) == flags && address >= segment->p_vaddr &&
		    address - segment->p_vaddr < segment->p_memsz)
			return segment;
	}
	return NULL;
}

/* Table at a virtual address; size 0 means up to the end of what its segment has in the file. */
static struct elf_table table_at(const struct elf_file *elf, uint64_t address, uint64_t size)
{
	struct elf_table table = {0};
	const Elf64_Phdr *segment = elf_file_segment(elf, address, 0);

	if (!segment || !elf_file_offset(elf, address, size, &table.offset))
		return table;
	table.size = size ? size : segment->p_filesz - (address - segment->p_vaddr);
	return table;
}

/* False: there is nothing dynamic. */
static bool dynamic_read(struct elf_file *elf)
{
	uint64_t value[DT_NUM] = {0}, gnu_table = 0, relr = 0, relr_size = 0;
	bool found = false;

	for (size_t i = 0; i < elf->segments_count; i++) {
		const Elf64_Phdr *segment = &elf->segments[i];
		Elf64_Dyn entry;

		if (segment->p_type != PT_DYNAMIC)
			continue;
		found = true;
		for (size_t at = 0; at < DYNAMIC_MAX && (at + 1) * sizeof(entry) <= segment->p_filesz; at++) {
			if (!elf_file_read(elf, segment->p_offset + at * sizeof(entry), &entry, sizeof(entry)) ||
			    entry.d_tag == DT_NULL)
				break;
			if (entry.d_tag == DT_GNU_HASH)
				gnu_table = entry.d_un.d_val;
			else if (entry.d_tag == 36 /* DT_RELR */)
				relr = entry.d_un.d_val;
			else if (entry.d_tag == 35 /* DT_RELRSZ */)
				relr_size = entry.d_un.d_val;
			else if (entry.d_tag > 0 && entry.d_tag < DT_NUM)
				value[entry.d_tag] = entry.d_un.d_val;
		}
		break;
	}
	if (value[DT_SYMTAB])
		elf->symbols = table_at(elf, value[DT_SYMTAB], 0);
	if (value[DT_STRTAB] && value[DT_STRSZ])
		elf->names = table_at(elf, value[DT_STRTAB], value[DT_STRSZ]);
	if (gnu_table)
		elf->hash = table_at(elf, gnu_table, 0);
	if (value[DT_RELA] && value[DT_RELASZ])
		elf->rela = table_at(elf, value[DT_RELA], value[DT_RELASZ]);
	if (value[DT_JMPREL] && value[DT_PLTRELSZ] && value[DT_PLTREL] == DT_RELA)
		elf->plt_rela = table_at(elf, value[DT_JMPREL], value[DT_PLTRELSZ]);
	if (relr && relr_size)
		elf->relr = table_at(elf, relr, relr_size);
	elf->alone = !value[DT_NEEDED];
	return found;
}

static bool section_read(const struct elf_file *elf, size_t index, Elf64_Shdr *ret)
{
	return index < SECTIONS_MAX && index * sizeof(*ret) < elf->sections.size &&
	       elf_file_read(elf, elf->sections.offset + index * sizeof(*ret), ret, sizeof(*ret));
}

/* A program at fixed addresses with all it needs inside has nothing dynamic, and relocations all the same: of the functions whose
 * code its libc picks at its start. Only the section headers tell of them. */
static void static_read(struct elf_file *elf)
{
	Elf64_Shdr section;

	for (size_t i = 0; !elf->plt_rela.size && section_read(elf, i, &section); i++)
		if (section.sh_type == SHT_RELA && section.sh_flags & SHF_ALLOC)
			elf->plt_rela = (struct elf_table){section.sh_offset, section.sh_size};
}

static const char *header_complaint(const struct elf_file *elf, const Elf64_Ehdr *header)
{
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return "not an ELF file";
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    header->e_machine != MACHINE)
		return "an ELF file of another machine";
	if (header->e_type != ET_DYN && header->e_type != ET_EXEC)
		return "neither a program nor a shared library";
	if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0 || header->e_phnum > SEGMENTS_MAX)
		return "odd program headers";
	if (header->e_phoff > elf->size || header->e_phnum * sizeof(Elf64_Phdr) > elf->size - header->e_phoff)
		return "the file is cut short: no program headers";
	return NULL;
}

static const char *segments_read(struct elf_file *elf, const Elf64_Ehdr *header)
{
	for (size_t i = 0; i < header->e_phnum; i++) {
		Elf64_Phdr *segment = &elf->segments[i];

		if (!elf_file_read(elf, header->e_phoff + i * sizeof(*segment), segment, sizeof(*segment)) ||
		    segment->p_offset > elf->size || segment->p_filesz > elf->size - segment->p_offset)
			return "the file is cut short: a segment lies outside";
		if (segment->p_type == PT_LOAD &&
		    (segment->p_filesz > segment->p_memsz || segment->p_vaddr + segment->p_memsz < segment->p_vaddr))
			return "a segment with odd sizes";
		elf->segments_count++;
	}
	return NULL;
}

int elf_file_open(int fd, struct elf_file *ret, const char **ret_why)
{
	struct elf_file elf = {0};
	Elf64_Ehdr header;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_why = "not a regular file";
	if (!S_ISREG(st.st_mode))
		return -EBADF;
	*ret_why = "the file is too large";
	if (st.st_size > ELF_FILE_MAX)
		return -EFBIG;
	*ret_why = "not an ELF file";
	if ((size_t)st.st_size < sizeof(header))
		return -ENOEXEC;
	*ret_why = "the file cannot be mapped";
	elf.size = (size_t)st.st_size;
	/* Shared: into a private mapping the kernel writes the breakpoints of uprobes that are already on the file, ours or
	 * another's, and site_pick would take them for the function's code. */
	elf.data = mmap(NULL, elf.size, PROT_READ, MAP_SHARED, fd, 0);
	if (elf.data == MAP_FAILED)
		return -errno;
	memcpy(&header, elf.data, sizeof(header));
	*ret_why = header_complaint(&elf, &header);
	if (!*ret_why)
		*ret_why = segments_read(&elf, &header);
	if (*ret_why)
		return -ENOEXEC;
	elf.fixed = header.e_type == ET_EXEC;
	if (header.e_shentsize == sizeof(Elf64_Shdr) && header.e_shoff && header.e_shoff < elf.size)
		elf.sections = (struct elf_table){header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr)};
	if (!dynamic_read(&elf))
		static_read(&elf);
	*ret = elf;
	return 0;
}

static bool name_is(const struct elf_file *elf, const struct elf_table *names, uint32_t at, const char *name)
{
	size_t len = strlen(name) + 1;

	return at < names->size && len <= names->size - at && names->offset <= elf->size &&
	       names->offset + at + len <= elf->size && memcmp(elf->data + names->offset + at, name, len) == 0;
}

/* A function of that type that is defined here and has code in the file. */
static bool function_usable(const struct elf_file *elf, const Elf64_Sym *symbol, unsigned type)
{
	uint64_t offset;

	return ELF64_ST_TYPE(symbol->st_info) == type && symbol->st_shndx != SHN_UNDEF && symbol->st_value &&
	       elf_file_segment(elf, symbol->st_value, PF_X) && elf_file_offset(elf, symbol->st_value, 1, &offset);
}

bool elf_file_symbol(const struct elf_file *elf, uint32_t index, Elf64_Sym *ret)
{
	uint64_t at = (uint64_t)index * sizeof(*ret);

	if (at > elf->symbols.size || sizeof(*ret) > elf->symbols.size - at)
		return false;
	return elf_file_read(elf, elf->symbols.offset + at, ret, sizeof(*ret));
}

bool elf_file_symbol_is(const struct elf_file *elf, const Elf64_Sym *symbol, const char *name)
{
	return name_is(elf, &elf->names, symbol->st_name, name);
}

static uint32_t gnu_hash(const char *name)
{
	uint32_t hash = 5381;

	for (; *name; name++)
		hash = hash * 33 + (uint8_t)*name;
	return hash;
}

/* The GNU hash section: a head, a Bloom filter that is passed over, buckets, and chains of hash values whose lowest bit
 * ends a chain. */
static bool find_hashed(const struct elf_file *elf, const char *name, Elf64_Sym *ret)
{
	struct {
		uint32_t buckets, first, bloom_words, bloom_shift;
	} head;
	uint32_t hash = gnu_hash(name), index, value;
	uint64_t buckets;

	if (elf->hash.size < sizeof(head) || !elf_file_read(elf, elf->hash.offset, &head, sizeof(head)) || !head.buckets)
		return false;
	buckets = elf->hash.offset + sizeof(head) + (uint64_t)head.bloom_words * 8;
	if (!elf_file_read(elf, buckets + (uint64_t)(hash % head.buckets) * 4, &index, sizeof(index)) || index < head.first)
		return false;
	for (unsigned step = 0; step < HASH_WALK_MAX; step++, index++) {
		uint64_t at = buckets + (uint64_t)head.buckets * 4 + (uint64_t)(index - head.first) * 4;
		Elf64_Sym symbol;

		if (!elf_file_read(elf, at, &value, sizeof(value)))
			return false;
		if ((value | 1) == (hash | 1) && elf_file_symbol(elf, index, &symbol) &&
		    elf_file_symbol_is(elf, &symbol, name) && function_usable(elf, &symbol, STT_FUNC)) {
			*ret = symbol;
			return true;
		}
		if (value & 1)
			return false;
	}
	return false;
}

/* Every symbol of a table of the section headers, in order. */
static bool find_in_section(const struct elf_file *elf, const Elf64_Shdr *section, unsigned type, const char *name,
			    Elf64_Sym *ret)
{
	struct elf_table names;
	Elf64_Shdr strings;
	uint64_t link = elf->sections.offset + (uint64_t)section->sh_link * sizeof(strings);

	if (!elf_file_read(elf, link, &strings, sizeof(strings)))
		return false;
	names = (struct elf_table){strings.sh_offset, strings.sh_size};
	for (uint64_t at = 0; at < section->sh_size && section->sh_offset < elf->size; at += sizeof(Elf64_Sym)) {
		Elf64_Sym symbol;

		if (!elf_file_read(elf, section->sh_offset + at, &symbol, sizeof(symbol)))
			return false;
		if (name_is(elf, &names, symbol.st_name, name) && function_usable(elf, &symbol, type)) {
			*ret = symbol;
			return true;
		}
	}
	return false;
}

/* In the tables of that kind (SHT_DYNSYM, SHT_SYMTAB). */
static bool find_listed(const struct elf_file *elf, uint32_t kind, unsigned type, const char *name, Elf64_Sym *ret)
{
	Elf64_Shdr section;

	for (size_t i = 0; section_read(elf, i, &section); i++)
		if (section.sh_type == kind && find_in_section(elf, &section, type, name, ret))
			return true;
	return false;
}

bool elf_file_function_sized(const struct elf_file *elf, const char *name, uint64_t *ret_address, uint64_t *ret_size)
{
	Elf64_Sym symbol;

	if (!find_hashed(elf, name, &symbol) && (elf->hash.size || !find_listed(elf, SHT_DYNSYM, STT_FUNC, name, &symbol)) &&
	    !find_listed(elf, SHT_SYMTAB, STT_FUNC, name, &symbol))
		return false;
	*ret_address = symbol.st_value;
	*ret_size = symbol.st_size;
	return true;
}

bool elf_file_function(const struct elf_file *elf, const char *name, uint64_t *ret_address)
{
	uint64_t size;

	return elf_file_function_sized(elf, name, ret_address, &size);
}

bool elf_file_resolver(const struct elf_file *elf, const char *name, uint64_t *ret_address)
{
	Elf64_Sym symbol;

	if (!find_listed(elf, SHT_DYNSYM, STT_GNU_IFUNC, name, &symbol) &&
	    !find_listed(elf, SHT_SYMTAB, STT_GNU_IFUNC, name, &symbol))
		return false;
	*ret_address = symbol.st_value;
	return true;
}

static size_t note_build_id(const struct elf_file *elf, const Elf64_Phdr *segment, uint8_t *out, size_t max)
{
	uint64_t align = segment->p_align == 8 ? 8 : 4, at = segment->p_offset, end = at + segment->p_filesz;

	for (unsigned i = 0; i < NOTES_MAX && at < end; i++) {
		uint64_t description;
		Elf64_Nhdr note;
		char name[4];

		if (!elf_file_read(elf, at, &note, sizeof(note)))
			return 0;
		description = at + ((sizeof(note) + (uint64_t)note.n_namesz + align - 1) & ~(align - 1));
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(name) &&
		    elf_file_read(elf, at + sizeof(note), name, sizeof(name)) && memcmp(name, "GNU", 4) == 0) {
			if (note.n_descsz > max || !elf_file_read(elf, description, out, note.n_descsz))
				return 0;
			return note.n_descsz;
		}
		at = description + (((uint64_t)note.n_descsz + align - 1) & ~(align - 1));
	}
	return 0;
}

size_t elf_file_build_id(const struct elf_file *elf, uint8_t *out, size_t max)
{
	for (size_t i = 0; i < elf->segments_count; i++) {
		size_t len = elf->segments[i].p_type == PT_NOTE ? note_build_id(elf, &elf->segments[i], out, max) : 0;

		if (len)
			return len;
	}
	return 0;
}
