/* Plugin of qemu's user mode: how often each instruction of a static program ran, as lines "address count" in
 * the file that the argument `out` names. The prototypes are those of version 1 of the plugin interface. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* tb);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb* tb, size_t k);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn* insn);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn* insn, int op, void* counter, uint64_t by);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*call)(qemu_plugin_id_t, struct qemu_plugin_tb*));
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*call)(qemu_plugin_id_t, void*), void* user);

int qemu_plugin_version = 1;

enum { kBase = 0x400000, kRoom = 1 << 23 }; /* where the linker puts static programs, and how long they may be */
static uint64_t counts[kRoom];
static char path[4096];

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb* tb) {
    (void)id;
    for (size_t k = 0; k < qemu_plugin_tb_n_insns(tb); ++k) {
        struct qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, k);
        const uint64_t at = qemu_plugin_insn_vaddr(insn) - kBase;
        if (at < kRoom) qemu_plugin_register_vcpu_insn_exec_inline(insn, 0, &counts[at], 1);
    }
}

static void finished(qemu_plugin_id_t id, void* user) {
    (void)id;
    (void)user;
    FILE* file = fopen(path, "w");
    if (!file) return;
    for (size_t k = 0; k < kRoom; ++k)
        if (counts[k]) fprintf(file, "%zx %" PRIu64 "\n", k + kBase, counts[k]);
    fclose(file);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void* info, int argc, char** argv) {
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) || strlen(argv[0]) >= sizeof path) return -1;
    strcpy(path, argv[0] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
