/* Reads a policy from standard input, a line each, and writes what libseccomp makes of it to standard output.
 *
 *     default ACTION
 *     arch TOKEN
 *     rule ACTION NAME COUNT [ARGUMENT OPERATOR FIRST SECOND]...
 *
 * The default comes first. A rule whose action is the default, or whose name is unknown, is left out, as container
 * engines do.
 */
#include <errno.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what, int error)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-error));
	return 1;
}

int main(void)
{
	scmp_filter_ctx filter = NULL;
	uint32_t fallback = 0, action, token;
	char word[16], name[64];
	int error;

	while (scanf("%15s", word) == 1) {
		if (strcmp(word, "default") == 0) {
			if (scanf("%" SCNu32, &fallback) != 1 || !(filter = seccomp_init(fallback)))
				return fail("init", -EINVAL);
			/* Architectures are those of the policy alone. */
			if ((error = seccomp_arch_remove(filter, SCMP_ARCH_NATIVE)))
				return fail("arch_remove", error);
		} else if (strcmp(word, "arch") == 0) {
			if (scanf("%" SCNu32, &token) != 1)
				return fail("arch", -EINVAL);
			if ((error = seccomp_arch_add(filter, token)))
				return fail("arch_add", error);
		} else {
			struct scmp_arg_cmp arguments[6];
			unsigned count, index, operator;
			uint64_t first, second;

			if (scanf("%" SCNu32 " %63s %u", &action, name, &count) != 3 || count > 6)
				return fail("rule", -EINVAL);
			for (unsigned i = 0; i < count; i++) {
				if (scanf("%u %u %" SCNu64 " %" SCNu64, &index, &operator, &first, &second) != 4)
					return fail("argument", -EINVAL);
				arguments[i].arg = index;
				arguments[i].op = operator;
				arguments[i].datum_a = first;
				arguments[i].datum_b = second;
			}
			int number = seccomp_syscall_resolve_name(name);
			if (action == fallback || number == __NR_SCMP_ERROR)
				continue;
			if ((error = seccomp_rule_add_array(filter, action, number, count, arguments)))
				return fail(name, error);
		}
	}
	error = seccomp_export_bpf(filter, 1);
	return error ? fail("export", error) : 0;
}
