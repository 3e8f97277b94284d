/* Unit and container from /proc/PID/cgroup: user/util/cgroup.c. The paths are those that the runtimes make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cgroup.h"
#include "util.h"

#define ID "3f4e1d2c5b6a79880716253443526170f0e1d2c3b4a5968778695a4b3c2d1e0f"
#define OTHER "00000000000000000000000000000000000000000000000000000000000000aa"
#define POD "pod0f1e2d3c_4b5a_6978_8796_a5b4c3d2e1f0"
enum { PIECES = 24 }; /* of a random text */
#define USER "/user.slice/user-1000.slice/user@1000.service"

struct example {
	const char *text, *unit, *container;
};

static void check_all(const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		CLEANUP_FREE char *copy = xstrdup(examples[i].text); /* on the heap: a byte too far is seen */
		struct cgroup_place place;

		memset(&place, 'x', sizeof(place));
		cgroup_read(copy, &place);
		if (strcmp(place.unit, examples[i].unit) != 0 || strcmp(place.container, examples[i].container) != 0)
			fail_msg("%s: unit \"%s\", container \"%s\"; expected \"%s\", \"%s\"", examples[i].text, place.unit,
				 place.container, examples[i].unit, examples[i].container);
	}
}

static void units_of_systemd(void **state)
{
	static const struct example examples[] = {
		{"0::/system.slice/nginx.service\n", "nginx.service", ""},
		{"0::/system.slice/nginx.service", "nginx.service", ""},
		{"0::/init.scope\n", "init.scope", ""},
		{"0::/system.slice/system-getty.slice/getty@tty1.service\n", "getty@tty1.service", ""},
		{"0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n", "postgresql@15-main.service", ""},
		{"0::/system.slice/dbus.socket\n", "dbus.socket", ""},
		{"0::/system.slice/var-lib-a\\x2db.mount\n", "var-lib-a-b.mount", ""},
		{"0::/system.slice/dev-disk-by\\x2duuid-1.swap\n", "dev-disk-by-uuid-1.swap", ""},
		{"0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope", ""},
		{"0::" USER "/init.scope\n", "user@1000.service", ""},
		{"0::/system.slice/_cgroup.service\n", "cgroup.service", ""},
		{"0::/system.slice/gone.service (deleted)\n", "gone.service", ""},
		{"0::/system.slice/delegates.service/below/deeper\n", "delegates.service", ""},
		{"0::/system.slice\n", "", ""},
		{"0::/\n", "", ""},
		{"", "", ""},
	};

	(void)state;
	check_all(examples, ARRAY_SIZE(examples));
}

static void the_better_hierarchy_counts(void **state)
{
	static const struct example examples[] = {
		/* hybrid: the unit is in both, or in name=systemd only */
		{"12:pids:/system.slice/a.service\n1:name=systemd:/system.slice/b.service\n0::/system.slice/c.service\n",
		 "c.service", ""},
		{"12:pids:/system.slice/a.service\n1:name=systemd:/system.slice/b.service\n0::/\n", "b.service", ""},
		/* v1 alone, with controllers that share a hierarchy */
		{"4:cpu,cpuacct:/system.slice/a.service\n3:freezer:/\n1:name=elogind:/3\n", "a.service", ""},
		{"9:memory:/docker/" ID "\n1:name=systemd:/docker/" ID "\n0::/system.slice/containerd.service\n",
		 "containerd.service", ID},
		/* a hierarchy whose name only begins like that of v2 */
		{"0:pids:/system.slice/a.service\n0::/system.slice/b.service\n", "b.service", ""},
		{"10::/system.slice/a.service\n0::/system.slice/b.service\n", "b.service", ""},
	};

	(void)state;
	check_all(examples, ARRAY_SIZE(examples));
}

static void containers(void **state)
{
	static const struct example examples[] = {
		{"0::/docker/" ID "\n", "", ID},
		{"0::/system.slice/docker-" ID ".scope\n", "", ID},
		{"0::/system.slice/docker-" ID ".scope/init.scope\n", "", ID},
		{"0::/system.slice/containerd.service/kubepods-burstable-" POD ".slice:cri-containerd:" ID "\n",
		 "containerd.service", ID},
		{"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-" POD ".slice/cri-containerd-" ID
		 ".scope\n",
		 "", ID},
		{"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-" POD ".slice/crio-" ID ".scope\n", "",
		 ID},
		{"0::/kubepods.slice/kubepods-" POD ".slice/crio-" ID ".scope/container\n", "", ID},
		{"0::/kubepods/besteffort/" POD "/" ID "\n", "", ID},
		{"0::/kubepods/burstable/" POD "/crio-" ID "\n", "", ID},
		{"0::/machine.slice/libpod-" ID ".scope/container\n", "", ID},
		{"0::/machine.slice/libpod-" ID ".scope\n", "", ID},
		{"0::/libpod_parent/libpod-" ID "\n", "", ID},
		{"0::/libpod_parent/libpod-" ID "/ctr\n", "", ID},
		{"0::/system.slice/web.service/libpod-payload-" ID "\n", "web.service", ID},
		{"0::" USER "/user.slice/libpod-" ID ".scope/container\n", "user@1000.service", ID},
		{"0::" USER "/app.slice/docker-" ID ".scope\n", "user@1000.service", ID},
		{"0::/machine.slice/machine-debian.scope\n", "", "debian"},
		{"0::/machine.slice/machine-my\\x2dbox.scope/payload/system.slice/nginx.service\n", "", "my-box"},
		{"0::/machine.slice/systemd-nspawn@web-1.service/payload/system.slice/nginx.service\n",
		 "systemd-nspawn@web-1.service", "web-1"},
		{"0::/lxc.payload.web/system.slice/nginx.service\n", "", "web"},
		{"0::/lxc.payload/web\n", "", "web"},
		{"4:memory:/lxc/101/ns/system.slice/nginx.service\n", "", "101"},
	};

	(void)state;
	check_all(examples, ARRAY_SIZE(examples));
}

static void what_is_beside_a_container(void **state)
{
	static const struct example examples[] = {
		{"0::/machine.slice/libpod-conmon-" ID ".scope\n", "libpod-conmon-" ID ".scope", ""},
		{"0::/system.slice/crio-conmon-" ID ".scope\n", "crio-conmon-" ID ".scope", ""},
		{"0::/kubepods/burstable/" POD "/crio-conmon-" ID "\n", "", ""},
		{"0::/libpod_parent/conmon\n", "", ""},
		{"0::/lxc.monitor.web\n", "", ""},
		{"0::/machine.slice/systemd-nspawn@web.service/supervisor\n", "systemd-nspawn@web.service", ""},
		{"0::/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator\n", "machine-qemu-1-vm.scope", ""},
		{"0::/system.slice/run-r0123456789abcdef0123456789abcdef.scope\n",
		 "run-r0123456789abcdef0123456789abcdef.scope", ""},
		/* 64 digits, but not an id */
		{"0::/system.slice/job@" ID ".service\n", "job@" ID ".service", ""},
		{"0::/docker/0" ID "\n", "", ""},
		{"0::/docker/3F4E1D2C5B6A79880716253443526170F0E1D2C3B4A5968778695A4B3C2D1E0F\n", "", ""},
	};

	(void)state;
	check_all(examples, ARRAY_SIZE(examples));
}

/* Whoever may make cgroups below his own must not become somebody else by their names. */
static void names_below_a_unit_or_container_count_for_nothing(void **state)
{
	static const struct example examples[] = {
		{"0::" USER "/app.slice/nginx.service\n", "user@1000.service", ""},
		{"0::" USER "/system.slice/nginx.service\n", "user@1000.service", ""},
		{"0::/user.slice/user-1000.slice/session-3.scope/nginx.service\n", "session-3.scope", ""},
		{"0::/docker/" ID "/system.slice/nginx.service\n", "", ID},
		{"0::/docker/" ID "/docker-" OTHER ".scope\n", "", ID},
		{"0::/docker/" ID "/kubelet.slice/cri-containerd-" OTHER ".scope\n", "", ID},
		{"0::/some/thing/nginx.service\n", "", ""},
	};

	(void)state;
	check_all(examples, ARRAY_SIZE(examples));
}

static void seen_from_another_namespace(void **state)
{
	static const struct example examples[] = {
		{"0::/../nginx.service\n", "nginx.service", ""},
		{"0::/../../system.slice/nginx.service\n", "nginx.service", ""},
		{"0::/../../docker-" ID ".scope\n", "", ID},
		{"0::/../" ID "\n", "", ID},
		{"0::/../..\n", "", ""},
	};

	(void)state;
	check_all(examples, ARRAY_SIZE(examples));
}

static void odd_text(void **state)
{
	static const struct example examples[] = {
		{"\n\n:\n::\n:::\n0:\n0::\n0::x\n", "", ""},
		{"0::/.service\n0::/.scope\n", "", ""},
		{"0::///system.slice///a.service///\n", "a.service", ""},
		{"0::/system.slice/a:b::c.service\n", "a:b::c.service", ""},
		{"0::/a\\x00b.service\n", "a\\x00b.service", ""},
		{"0::/a\\x2", "", ""},
		{"0::/a\\xzz\\x2.service\n", "a\\xzz\\x2.service", ""},
		{"0::/a\\x0ab\\xff.service\n", "a\nb\xff.service", ""},
		{"0::/\xc3\x28\x01.service\n", "\xc3\x28\x01.service", ""},
		{"0::/machine-.scope\n", "machine-.scope", ""},
		{"0::/systemd-nspawn@.service\n", "systemd-nspawn@.service", ""},
		{"0::/lxc.payload.\n0::/lxc\n0::/lxc/\n0::/lxc.payload\n", "", ""},
		{"0::/_\n0::/_/_\n0::/..\n0::/.\n", "", ""},
		{"0::/ (deleted)\n", "", ""},
		{"0::/-.scope/-" ID "\n", "-.scope", ""},
	};

	(void)state;
	check_all(examples, ARRAY_SIZE(examples));
}

/* Exactly what fits, and one more. */
static void names_have_bounds(void **state)
{
	(void)state;
	for (size_t len = 1; len < 600; len++) {
		CLEANUP_FREE char *name = xcalloc(len + 1, 1), *unit = NULL, *machine = NULL;
		struct cgroup_place place;

		memset(name, 'n', len);
		unit = xasprintf("0::/system.slice/%s.service\n", name);
		machine = xasprintf("0::/lxc.payload.%s\n", name);
		cgroup_read(unit, &place);
		assert_int_equal(strlen(place.unit), len + 8 < CGROUP_UNIT_MAX ? len + 8 : 0);
		cgroup_read(machine, &place);
		assert_int_equal(strlen(place.container), len < CGROUP_CONTAINER_MAX ? len : 0);
	}
}

/* Texts put together at random from what matters; the sanitizers look on, and what comes out is ended. */
static void random_text(void **state)
{
	static const char *const pieces[] = {
		"0::",         "1:name=systemd:", "/",         "..",       ".slice",     ".service",
		".scope",      "docker-",         ID,          "\n",       "\\x",        "\\x2d",
		"\\x00",       "user@1",          ":",         "machine-", "conmon-",    "lxc",
		"lxc.payload", "libpod-",         "_",         "a",        " (deleted)", "systemd-nspawn@",
		"\xff",        "supervisor",      "qemu\\x2d", OTHER};
	uint32_t seed = 12345;

	(void)state;
	for (size_t round = 0; round < 20000; round++) {
		CLEANUP_FREE char *text = xcalloc(PIECES * sizeof(ID), 1), *copy = NULL;
		struct cgroup_place place;

		for (size_t i = 0; i < PIECES; i++) {
			seed = seed * 1664525 + 1013904223;
			strcat(text, pieces[(seed >> 16) % ARRAY_SIZE(pieces)]);
		}
		copy = xstrdup(text);
		cgroup_read(copy, &place);
		assert_true(strlen(place.unit) < sizeof(place.unit));
		assert_true(strlen(place.container) < sizeof(place.container));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_of_systemd),
		cmocka_unit_test(the_better_hierarchy_counts),
		cmocka_unit_test(containers),
		cmocka_unit_test(what_is_beside_a_container),
		cmocka_unit_test(names_below_a_unit_or_container_count_for_nothing),
		cmocka_unit_test(seen_from_another_namespace),
		cmocka_unit_test(odd_text),
		cmocka_unit_test(names_have_bounds),
		cmocka_unit_test(random_text),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
