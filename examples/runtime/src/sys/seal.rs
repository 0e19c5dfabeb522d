//! The first instructions of `windlass-oci`, before the C library's.
//!
//! The program replaces itself by a sealed view of itself. All that a C library prepares before that is thrown away: it
//! asks the processor for its features by an instruction that a hypervisor answers, tens of times, and touches a
//! hundred pages. So the replacement is made first, in the words of the kernel alone: no stack is used, and no memory but
//! what the kernel put there. Whatever does not go as it should is left to the program itself, which begins as it always
//! does.

use std::arch::global_asm;

// The kernel's entry: `rsp` points to the count of arguments, behind which are they, zero, the environment, zero, and
// the auxiliary vector; all other registers are zero.
global_asm!(
    r#"
    .pushsection .text.windlass_oci_begin, "ax", @progbits
    .globl windlass_oci_begin
    .type windlass_oci_begin, @function
windlass_oci_begin:
    mov r12, [rsp]
    lea r13, [rsp + 8]
    lea r14, [r13 + 8 * r12 + 8]
    test r12, r12
    jz 9f

    // Behind the environment: AT_EXECFN, the name that this was executed as. "/dev/fd/" is a view's.
    mov rax, r14
2:  add rax, 8
    cmp qword ptr [rax - 8], 0
    jne 2b
3:  mov rcx, [rax]
    test rcx, rcx
    jz 9f
    add rax, 16
    cmp rcx, {execfn}
    jne 3b
    mov rax, [rax - 8]
    movabs rcx, 0x2f64662f7665642f
    cmp [rax], rcx
    je 9f

    // A word that is the verb "run", "exec" or "create", or a name that is the same: then a view only costs time. What
    // is behind the end of a short word is another one.
    mov rax, r13
4:  add rax, 8
    mov rsi, [rax]
    test rsi, rsi
    jz 9f
    mov ecx, [rsi]
    cmp ecx, 0x006e7572
    je 7f
    cmp ecx, 0x63657865
    jne 5f
    cmp byte ptr [rsi + 4], 0
    je 7f
    jmp 4b
5:  cmp ecx, 0x61657263
    jne 4b
    mov ecx, [rsi + 3]
    cmp ecx, 0x00657461
    jne 4b

    // open_tree(AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
7:  mov eax, {open_tree}
    mov edi, {cwd}
    lea rsi, [rip + 20f]
    mov edx, {clone}
    syscall
    test eax, eax
    js 9f
    mov ebx, eax

    // mount_setattr(view, "", AT_EMPTY_PATH, read-only and no set-uid, size)
    mov eax, {mount_setattr}
    mov edi, ebx
    lea rsi, [rip + 21f]
    mov edx, {empty_path}
    lea r10, [rip + 22f]
    mov r8d, 32
    syscall
    test eax, eax
    jnz 8f

    // execveat(view, "", arguments, environment, AT_EMPTY_PATH)
    mov eax, {execveat}
    mov edi, ebx
    lea rsi, [rip + 21f]
    mov rdx, r13
    mov r10, r14
    mov r8d, {empty_path}
    syscall

    // close(view)
8:  mov eax, {close}
    mov edi, ebx
    syscall

    // What rdx holds would be called at the end.
9:  xor edx, edx
    jmp _start

20: .asciz "/proc/self/exe"
21: .asciz ""
    .balign 8
22: .quad {attributes}, 0, 0, 0
    .size windlass_oci_begin, . - windlass_oci_begin
    .popsection
    "#,
    execfn = const libc::AT_EXECFN,
    open_tree = const libc::SYS_open_tree,
    mount_setattr = const libc::SYS_mount_setattr,
    execveat = const libc::SYS_execveat,
    close = const libc::SYS_close,
    cwd = const libc::AT_FDCWD,
    clone = const libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC,
    empty_path = const libc::AT_EMPTY_PATH,
    attributes = const libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID,
);
