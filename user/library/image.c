/* Loads a shared library or program the way ld.so would map it, so that single functions of it can be called.
 *
 * Owns the mappings, which live as long as the process. Private file mappings: a hundred megabytes of program cost what is
 * touched. No dependency is loaded, no constructor, resolver (IFUNC) or initialiser is run; what would need one of them meets
 * the trap. No TLS is set up: code of a program that has its libc inside sees ours, and may spoil it, in a process that ends
 * soon. The file is not trusted: all is mapped inside one reservation, and nothing is written but into the file's own
 * writable segments, and over functions that are bound always.
 */
#include "image.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util.h"

/* A jump to an address that follows in the code, through a register that is no argument. */
#if defined(__x86_64__)
static const uint8_t jump_head[] = {0x49, 0xbb}, jump_tail[] = {0x41, 0xff, 0xe3}; /* movabs, jmp *%r11 */
#elif defined(__aarch64__)
static const uint8_t jump_head[] = {0x50, 0, 0, 0x58, 0, 0x02, 0x1f, 0xd6}, jump_tail[] = {}; /* ldr x16, +8; br x16 */
#endif
enum { JUMP_BYTES = sizeof(jump_head) + 8 + sizeof(jump_tail) };

#if defined(__x86_64__)
enum {
	R_ABSOLUTE = R_X86_64_64,
	R_GLOBAL = R_X86_64_GLOB_DAT,
	R_JUMP = R_X86_64_JUMP_SLOT,
	R_RELATIVE = R_X86_64_RELATIVE,
	R_INDIRECT = R_X86_64_IRELATIVE
};
#elif defined(__aarch64__)
enum {
	R_ABSOLUTE = R_AARCH64_ABS64,
	R_GLOBAL = R_AARCH64_GLOB_DAT,
	R_JUMP = R_AARCH64_JUMP_SLOT,
	R_RELATIVE = R_AARCH64_RELATIVE,
	R_INDIRECT = R_AARCH64_IRELATIVE
};
#endif

static uint64_t page_floor(uint64_t address)
{
	return address & ~((uint64_t)sysconf(_SC_PAGESIZE) - 1);
}

static uint64_t page_ceil(uint64_t address)
{
	return page_floor(address + (uint64_t)sysconf(_SC_PAGESIZE) - 1);
}

/* Where the image begins and ends in the file's own addresses. */
static const char *image_extent(const struct elf_file *elf, uint64_t *ret_start, uint64_t *ret_end)
{
	uint64_t start = UINT64_MAX, end = 0, writable = 0;

	for (size_t i = 0; i < elf->segments_count; i++) {
		const Elf64_Phdr *segment = &elf->segments[i];

		if (segment->p_type != PT_LOAD || !segment->p_memsz)
			continue;
		if (segment->p_vaddr < end)
			return "segments out of order";
		if (page_floor(segment->p_vaddr) - page_floor(segment->p_offset) != segment->p_vaddr - segment->p_offset)
			return "a segment that does not fall on pages";
		if (start == UINT64_MAX)
			start = page_floor(segment->p_vaddr);
		end = segment->p_vaddr + segment->p_memsz;
		if (end > start + IMAGE_SPAN_MAX)
			return "the image is too large";
		writable += segment->p_flags & PF_W ? segment->p_memsz : 0;
	}
	if (!end)
		return "nothing to load";
	if (writable > IMAGE_WRITABLE_MAX)
		return "the image has too much writable memory";
	*ret_start = start;
	*ret_end = page_ceil(end);
	return NULL;
}

static bool segment_map(const Elf64_Phdr *segment, uint64_t bias, int fd)
{
	int prot = (segment->p_flags & PF_R ? PROT_READ : 0) | (segment->p_flags & PF_W ? PROT_WRITE : 0) |
		   (segment->p_flags & PF_X ? PROT_EXEC : 0);
	uint64_t start = bias + page_floor(segment->p_vaddr), file_end = bias + segment->p_vaddr + segment->p_filesz;
	uint64_t end = page_ceil(bias + segment->p_vaddr + segment->p_memsz), anonymous = start;

	if (segment->p_filesz) {
		anonymous = page_ceil(file_end);
		if (mmap((void *)start, file_end - start, prot, MAP_PRIVATE | MAP_FIXED, fd,
			 (off_t)page_floor(segment->p_offset)) == MAP_FAILED)
			return false;
		if (segment->p_memsz > segment->p_filesz && prot & PROT_WRITE)
			memset((void *)file_end, 0, anonymous - file_end);
	}
	if (anonymous >= end)
		return true;
	return mmap((void *)anonymous, end - anonymous, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

int image_load(const struct elf_file *elf, int fd, struct image *ret, const char **ret_why)
{
	uint64_t start, end;
	void *room;

	*ret_why = image_extent(elf, &start, &end);
	if (*ret_why)
		return -ENOEXEC;
	*ret_why = "its addresses are taken";
	room = mmap(elf->fixed ? (void *)start : NULL, end - start, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (elf->fixed ? MAP_FIXED_NOREPLACE : 0), -1, 0);
	if (room == MAP_FAILED)
		return -errno;
	if (elf->fixed && room != (void *)start)
		return -EEXIST;
	*ret_why = "a segment cannot be mapped";
	for (size_t i = 0; i < elf->segments_count; i++) {
		const Elf64_Phdr *segment = &elf->segments[i];

		if (segment->p_type == PT_LOAD && segment->p_memsz && !segment_map(segment, (uint64_t)room - start, fd))
			return -errno;
	}
	ret->bias = (uint64_t)room - start;
	*ret_why = NULL;
	return 0;
}

struct relocation {
	const struct image *image;
	const struct elf_file *elf;
	const struct binding *bindings;
	size_t bindings_count;
	uint64_t trap;
	const Elf64_Phdr *last;           /* the segment of the last target: relocations come in order */
	uint64_t resolvers[BINDINGS_MAX]; /* of the bindings' names, once resolvers_known; 0: it has none */
	bool resolvers_known;
};

/* The 8 bytes that a relocation names, or NULL outside the writable segments. */
static void *relocation_target(struct relocation *relocation, uint64_t address)
{
	const Elf64_Phdr *segment = relocation->last;

	if (!segment || address < segment->p_vaddr || address - segment->p_vaddr >= segment->p_memsz)
		segment = elf_file_segment(relocation->elf, address, PF_W);
	if (!segment || segment->p_memsz - (address - segment->p_vaddr) < 8)
		return NULL;
	relocation->last = segment;
	return (void *)(relocation->image->bias + address);
}

static uint64_t symbol_value(const struct relocation *relocation, uint32_t index)
{
	const struct elf_file *elf = relocation->elf;
	Elf64_Sym symbol;

	if (!elf_file_symbol(elf, index, &symbol))
		return relocation->trap;
	for (size_t i = 0; i < relocation->bindings_count; i++) {
		const struct binding *binding = &relocation->bindings[i];

		if ((symbol.st_shndx == SHN_UNDEF || binding->always) && elf_file_symbol_is(elf, &symbol, binding->name))
			return (uint64_t)binding->address;
	}
	if (symbol.st_shndx == SHN_UNDEF)
		return ELF64_ST_BIND(symbol.st_info) == STB_WEAK ? 0 : relocation->trap;
	if (ELF64_ST_TYPE(symbol.st_info) == STT_GNU_IFUNC || ELF64_ST_TYPE(symbol.st_info) == STT_TLS)
		return relocation->trap;
	return symbol.st_shndx == SHN_ABS ? symbol.st_value : relocation->image->bias + symbol.st_value;
}

/* Which name it is that an indirect function has: its resolver tells. They are looked for only where there is one. */
static uint64_t indirect_value(struct relocation *relocation, uint64_t resolver)
{
	for (size_t i = 0; i < relocation->bindings_count && !relocation->resolvers_known; i++)
		if (!elf_file_resolver(relocation->elf, relocation->bindings[i].name, &relocation->resolvers[i]))
			relocation->resolvers[i] = 0;
	relocation->resolvers_known = true;
	for (size_t i = 0; i < relocation->bindings_count; i++)
		if (relocation->resolvers[i] && relocation->resolvers[i] == resolver)
			return (uint64_t)relocation->bindings[i].address;
	return relocation->trap;
}

static bool rela_apply(struct relocation *relocation, const Elf64_Rela *rela)
{
	uint64_t addend = (uint64_t)rela->r_addend, value;
	void *target;

	switch (ELF64_R_TYPE(rela->r_info)) {
	case R_RELATIVE:
		value = relocation->image->bias + addend;
		break;
	case R_ABSOLUTE:
		value = symbol_value(relocation, (uint32_t)ELF64_R_SYM(rela->r_info)) + addend;
		break;
	case R_GLOBAL:
	case R_JUMP:
		value = symbol_value(relocation, (uint32_t)ELF64_R_SYM(rela->r_info));
		break;
	case R_INDIRECT:
		value = indirect_value(relocation, addend);
		break;
	default: /* TLS and copies of other libraries' data: whoever needs them fails, and is heard to fail */
		return true;
	}
	target = relocation_target(relocation, rela->r_offset);
	if (!target)
		return false;
	memcpy(target, &value, sizeof(value));
	return true;
}

static bool rela_table(struct relocation *relocation, const struct elf_table *table)
{
	for (uint64_t at = 0; at + sizeof(Elf64_Rela) <= table->size; at += sizeof(Elf64_Rela)) {
		Elf64_Rela rela;

		if (!elf_file_read(relocation->elf, table->offset + at, &rela, sizeof(rela)) ||
		    !rela_apply(relocation, &rela))
			return false;
	}
	return true;
}

static bool relative_add(struct relocation *relocation, uint64_t address)
{
	void *target = relocation_target(relocation, address);
	uint64_t value;

	if (!target)
		return false;
	memcpy(&value, target, sizeof(value));
	value += relocation->image->bias;
	memcpy(target, &value, sizeof(value));
	return true;
}

/* DT_RELR: an even word is an address; an odd one is a bitmap over the 63 words that follow the last place. */
static bool relr_table(struct relocation *relocation, const struct elf_table *table)
{
	uint64_t next = 0;

	for (uint64_t at = 0; at + 8 <= table->size; at += 8) {
		uint64_t word;

		if (!elf_file_read(relocation->elf, table->offset + at, &word, sizeof(word)))
			return false;
		if (!(word & 1)) {
			if (!relative_add(relocation, word))
				return false;
			next = word + 8;
			continue;
		}
		for (unsigned bit = 1; bit < 64; bit++)
			if (word >> bit & 1 && !relative_add(relocation, next + (bit - 1) * 8))
				return false;
		next += 63 * 8;
	}
	return true;
}

/* Calls inside of one file need not go through a relocation, and in a program never do: the function itself leads away. Without
 * the right to write code (a policy of SELinux, say) it stays, and whoever needed it fails, and is heard to fail. */
static void binding_force(const struct image *image, const struct elf_file *elf, const struct binding *binding)
{
	uint64_t address, size, target = (uint64_t)binding->address, start;
	uint8_t *code;
	size_t len;

	if (!elf_file_function_sized(elf, binding->name, &address, &size) || size < JUMP_BYTES ||
	    !elf_file_offset(elf, address, JUMP_BYTES, &start))
		return;
	code = (uint8_t *)(image->bias + address);
	start = page_floor((uint64_t)code);
	len = page_ceil((uint64_t)code + JUMP_BYTES) - start;
	if (mprotect((void *)start, len, PROT_READ | PROT_WRITE) < 0)
		return;
	memcpy(code, jump_head, sizeof(jump_head));
	memcpy(code + sizeof(jump_head), &target, sizeof(target));
	memcpy(code + sizeof(jump_head) + sizeof(target), jump_tail, sizeof(jump_tail));
	(void)mprotect((void *)start, len, PROT_READ | PROT_EXEC);
	__builtin___clear_cache((char *)code, (char *)code + JUMP_BYTES);
}

/* What of a libc asks the kernel for something, which here is the end, or keeps things in the thread's own memory, which is not its
 * libc's. Elsewhere these are imports, and lead to the trap. */
static void libc_force(const struct image *image, const struct elf_file *elf, void *trap)
{
	static const char *const names[] = {
		"malloc",
		"calloc",
		"realloc",
		"pthread_once",
		"pthread_mutex_lock",
		"pthread_rwlock_rdlock",
		"pthread_rwlock_wrlock",
		"pthread_getspecific",
		"pthread_setspecific",
		"clock_gettime",
		"getrandom",
		"syscall",
		"abort",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		binding_force(image, elf, &(struct binding){names[i], trap, true});
}

int image_relocate(const struct image *image, const struct elf_file *elf, const struct binding *bindings, size_t count,
		   void *trap, const char **ret_why)
{
	struct relocation relocation = {.image = image, .elf = elf, .bindings = bindings, .trap = (uint64_t)trap};

	relocation.bindings_count = count < BINDINGS_MAX ? count : BINDINGS_MAX;
	*ret_why = "too many relocations";
	if (elf->rela.size / sizeof(Elf64_Rela) > RELOCATIONS_MAX ||
	    elf->plt_rela.size / sizeof(Elf64_Rela) > RELOCATIONS_MAX || elf->relr.size / 8 > RELOCATIONS_MAX)
		return -E2BIG;
	*ret_why = "a relocation outside the writable segments";
	if (!relr_table(&relocation, &elf->relr) || !rela_table(&relocation, &elf->rela) ||
	    !rela_table(&relocation, &elf->plt_rela))
		return -ENOEXEC;
	if (elf->alone)
		libc_force(image, elf, trap);
	for (size_t i = 0; i < relocation.bindings_count; i++)
		if (bindings[i].always)
			binding_force(image, elf, &bindings[i]);
	*ret_why = NULL;
	return 0;
}
