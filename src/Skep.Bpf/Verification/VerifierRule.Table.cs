namespace Skep.Bpf.Verification;

/// <content>The rules, worded after kernel/bpf/verifier.c of kernels 5.15 to 6.18.</content>
internal sealed partial record VerifierRule
{
    /// <summary>Of complaints that no rule knows.</summary>
    internal const string Unknown = "SKEP1000";

    internal const string Packet = "SKEP1001";
    internal const string Null = "SKEP1002";
    internal const string Number = "SKEP1003";
    internal const string Unset = "SKEP1004";
    internal const string Spill = "SKEP1005";
    internal const string Local = "SKEP1006";
    internal const string UnsetStack = "SKEP1007";
    internal const string StackSize = "SKEP1008";
    internal const string Unbounded = "SKEP1009";
    internal const string Structure = "SKEP1010";
    internal const string Special = "SKEP1011";
    internal const string Memory = "SKEP1012";
    internal const string Loop = "SKEP1013";
    internal const string Complex = "SKEP1014";
    internal const string Unreachable = "SKEP1015";
    internal const string Flow = "SKEP1016";
    internal const string Depth = "SKEP1017";
    internal const string Context = "SKEP1018";
    internal const string Lock = "SKEP1019";
    internal const string Sleep = "SKEP1020";
    internal const string Atomic = "SKEP1021";
    internal const string Classic = "SKEP1022";
    internal const string Space = "SKEP1023";
    internal const string Encoding = "SKEP1024";
    internal const string KernelFunction = "SKEP1025";
    internal const string Object = "SKEP1026";
    internal const string MapKind = "SKEP1027";
    internal const string Helper = "SKEP1028";
    internal const string License = "SKEP1029";
    internal const string Verdict = "SKEP1030";
    internal const string Pointer = "SKEP1031";
    internal const string Align = "SKEP1032";
    internal const string ReadOnly = "SKEP1033";
    internal const string Argument = "SKEP1034";
    internal const string Reference = "SKEP1035";
    internal const string Other = "SKEP1036";
    internal const string Target = "SKEP1037";
    internal const string Types = "SKEP1038";

    // The first that matches counts, so the particular come before the general.
    private static readonly VerifierRule[] s_rules =
    [
        new(Packet, @"invalid access to packet|is outside of the packet|cannot access packet",
            "A packet byte may be accessed only where a comparison with DataEnd has shown that it exists.",
            "Compare `pointer + size > context.DataEnd` first (`pointer < context.DataEnd` is not enough), and dereference the very pointer that was compared: one moved by a number from the packet needs a comparison of its own. Read Data and DataEnd again after a helper that changes the packet."),
        new(Null, @"invalid mem access '\w*_or_null'|possibly null pointer|null-check it first",
            "A value that may be null may be used only after a test.",
            "Test the reference with Unsafe.IsNullRef (or the pointer with null) before the first access."),
        new(Number, @"invalid mem access '(scalar|inv|imm)'",
            "Only pointers can be dereferenced, and the verifier sees a plain number here.",
            "Do not keep pointers in integers or in a map; read kernel memory by Helper.ProbeReadKernel; after a helper that changes the packet, read Data and DataEnd again."),
        new(Unset, @"!read_ok",
            "A register must be written on every path before it is read.",
            "Give the variable a value on every path; pointers read before a call of a helper that changes the packet are gone after it."),
        new(Spill, @"corrupt spilled|invalid size of register (spill|fill)|corrupted spill memory",
            "A pointer on the stack may be stored and read only as a whole.",
            "Do not take parts of a local that holds a pointer, and do not write bytes over it."),
        new(Local, @"invalid variable-offset \w+ (to|from) stack|invalid (write to|read from|access to|\w+ access to) stack R\d+ off=-?(\d{1,2}|[1-4]\d\d|50\d|51[0-2]) size=|invalid zero-sized (read|access)",
            "An access must lie inside the local it points into, for every value index and size may have; a helper writes as many bytes as it is told.",
            "Make the buffer at least as long as the size that is passed, and compare or mask the index, as an unsigned number, right before the access."),
        new(UnsetStack, @"invalid (indirect )?(read|access)( from| to)? stack|invalid indirect access to stack|invalid read from stack",
            "Every byte of the stack that is read, or passed to a helper, must have been written.",
            "Set the struct to default first, padding included, or give the key a layout without padding."),
        new(StackSize, @"combined stack size|stack (depth|size).*(too large|exceed)|invalid (variable-offset )?(write to|stack|unbounded).*stack|invalid stack off",
            "A program has 512 bytes of stack, all its functions together.",
            "Move large locals to a per-CPU map, or make the struct smaller."),
        new(Unbounded, @"math between \w+ pointer and register with unbounded|unbounded min value|value [-\d]+ makes \w+ pointer be out of bounds|pointer offset [-\d]+ is not allowed",
            "A number that is added to a pointer needs a known upper and lower bound.",
            "Compare the offset with a constant or mask it, in an unsigned type, right before adding it."),
        new(Structure, @"access beyond (struct|the end of member)|cannot access ptr member|invalid negative access|invalid access to .*(struct|field)|access user memory|is not a pointer to a struct|access percpu|tried to access [0-9,]+bytes|ptr \w+ access without",
            "A kernel struct may be read only at the fields its type has, each in its own width.",
            "Use the generated view of the struct, and read memory that is reached through untyped or user pointers by Helper.ProbeReadKernel."),
        new(Special, @"direct access to (bpf_|kptr)|kptr (access|in)|bpf_(timer|spin_lock|wq|list_\w+|rb_\w+|refcount|res_spin_lock) (cannot be accessed|access)|cannot be accessed directly by load/store|store to referenced kptr",
            "Timers, locks, lists and kept pointers in a map value may be changed only by their own functions.",
            "Do not read or write such a field, and give it a place of its own in the struct, outside of what you copy."),
        new(Memory, @"min value is negative|unbounded memory access|max value is outside of the allowed memory range|min value is outside|invalid access to map (value|key)|invalid access to memory|invalid (buffer|tracepoint buffer) access|invalid access to \w+ buffer",
            "An access must lie inside the memory it points into, for every value the index may have.",
            "Compare the index as an unsigned number with the length, or mask it, right before the access."),
        new(Loop, @"back-edge|infinite loop detected|loop is not bounded|unreasonably large loop",
            "A loop must end for certain: the verifier has to see its bound.",
            "Count the rounds in a local and end the loop at a constant: `for (var i = 0; i < 16 && condition; i++)`."),
        new(Complex, @"program is too large|too complex|processed \d+ insn",
            "The verifier follows every path, and gives up after a million instructions.",
            "Bound every loop by a small constant too (`i < n && i < 32`), move branches out of loops, and join paths that differ only in a number (Verifier.Forget)."),
        new(Unreachable, @"unreachable insn",
            "Every instruction must be reachable.",
            "This is a fault of the compiler: please report it with the C# method."),
        new(Flow, @"jump out of range|last insn is not an exit|jump into the middle|jump from insn|invalid insn idx|fell off",
            "Every path must stay in the program and end in an exit.",
            "This is a fault of the compiler: please report it with the C# method."),
        new(Depth, @"frames? is too deep|call stack of|max_depth|recursive call|tail_calls? (are|is) not allowed|the call depth|cannot call tail_call|mixing of tail_calls",
            "Calls may be nested eight deep, without recursion, and tail calls need a small stack below them.",
            "Let methods be inlined, or turn recursion into a loop."),
        new(Context, @"invalid bpf_context access|dereference of modified ctx|variable ctx access|modified ctx ptr|off=\d+ is not multiple|invalid \w+ access off=",
            "Only certain fields of the context may be accessed by this type of program, each in its own width.",
            "Use the properties of the context type, and check which program types have this field."),
        new(Lock, @"spin_lock|holding a lock|lock-ed region|irq_(save|restore)|preempt(_disable|ion)|rcu_read_(un)?lock",
            "A lock must be released on every path, and while it is held nothing else may be called.",
            "Read what you need before taking the lock, and release it before every return, helper call or second lock."),
        new(Sleep, @"sleepable|may sleep|non-preemptible|sleep",
            "What may sleep can be called only from programs that may sleep.",
            "Mark the program as sleepable where its hook allows that, or use a function that does not sleep."),
        new(Atomic, @"BPF_ATOMIC|atomic (operand|store|load)|invalid atomic",
            "Atomic operations work on 4 or 8 bytes of a map value, the stack or an arena.",
            "Copy packet bytes or context fields to a local first, and use Interlocked on int, uint, long or ulong."),
        new(Classic, @"BPF_LD_\[ABS\|IND\]",
            "Packet loads of classic BPF exist in socket filters and TC programs only.",
            "Read packet bytes through Data and DataEnd."),
        new(Space, @"addr_space_cast|arena",
            "Memory of an arena may be accessed only through its own pointers, by programs that have that one arena.",
            "Use one arena per program, and no map pointer where an arena pointer is expected."),
        new(Encoding, @"unknown opcode|reserved fields|invalid BPF_LD_IMM|R\d+ is invalid|invalid shift|div(ision)? by zero|frame pointer is read only|unrecognized|invalid (call|jump) (insn|offset)|uses? reserved|unsupported|incorrect BPF_",
            "Only instructions that this kernel knows may be used, with unused fields zero.",
            "Compile for the instruction set of this kernel (`skep compile --isa`); if the compiler chose it, please report it."),
        new(KernelFunction, @"kernel (func|btf)|kfunc|calling (kernel|invalid)|must be referenced or trusted|must be a rcu pointer|metadata is unsupported",
            "A kernel function may be called only by the program types it is meant for, with arguments of its own types.",
            "Look at the function's program types, pass pointers as the kernel gave them, and check that this kernel has it (`skep doctor`)."),
        new(Object, @"dynptr|initialized iter|iter(ator)?_\w+|uninitialized iter",
            "Dynamic pointers and iterators live on the stack, are set up once, and are given back on every path.",
            "Keep it in one local, do not copy it, and end it before every return."),
        new(MapKind, @"cannot pass map_type|map_type \d+|tail_call abusing|invalid map_ptr|programs? cannot use map|not compatible with prog|map fd|doesn't point to valid map|map .* (must|has no|cannot)",
            "A map may be used only by the helpers and program types that its kind is for.",
            "Choose the kind of map that the helper works on; this type of program may not be allowed to use it."),
        new(Helper, @"unknown func|cannot use helper|helper call is not allowed|invalid func|helper.*(not supported|not allowed)|function .* is not supported",
            "This kernel or this type of program does not have the helper.",
            "Look up the helper's first kernel version; leave the feature out where `skep doctor` says that it is missing."),
        new(License, @"GPL",
            "Some helpers are for programs under the GPL only.",
            "Let the License property of the program be \"GPL\" or \"Dual MIT/GPL\"."),
        new(Verdict, @"at program exit the register R0|R0 .*should have been in|R0 not a known value|R0 .*return value|at callback return|doesn't return scalar|return code",
            "The verdict must be one of those the hook knows.",
            "Return a member of the verdict enumeration, not a computed number."),
        new(Pointer, @"pointer arithmetic|prohibited|leaks addr|tried to (subtract|add)|partial copy of pointer|pointer -= pointer|pointer comparison|32-bit pointer",
            "Pointers cannot be computed with freely or revealed.",
            "Add only bounded numbers to pointers, compare only packet pointers with DataEnd, and store no pointer in a map."),
        new(Align, @"misaligned",
            "This access must be aligned.",
            "Lay the struct out so that fields are aligned, or read bytes."),
        new(ReadOnly, @"cannot write into|write into map forbidden|only read (from \S+ )?is supported|read-only|rdonly|read from map forbidden|cannot access map",
            "This memory is read-only for the program.",
            "Copy it to a local and change that; structs of the kernel can only be read."),
        new(Argument, @"type=\S+ expected=|expected pointer to|expects? (a )?(pointer|ctx|known|constant)|must be a (known|constant)|is not a known constant|R\d is not a|arg#\d+",
            "A helper takes only certain kinds of pointers.",
            "Pass a map, stack memory or the context as the helper's documentation says, and sizes as constants where it wants them."),
        new(Reference, @"Unreleased reference|reference leak|release of untrusted|reference has not been acquired|refer(ence)? .*(before|not) |would lead to reference",
            "What was acquired must be released on every path, once.",
            "Release the socket or record on every path, early returns included."),
        new(Other, @"invalid mem access",
            "Memory can be accessed only through pointers that are meant for it.",
            "Use maps by their methods and the context by its properties; the end of the packet is only there to compare with."),
        new(Target, @"attach(_btf_id| type| to)|not (traceable|modifiable|attachable)|tracing programs? must|expected_attach_type|hook",
            "The program must name a hook that this kernel has and that its type can attach to.",
            "Check the name of the hook and whether the kernel was built with it (`skep doctor`)."),
        new(Types, @"btf|func_info|line_info",
            "The type information that describes the program must fit its code.",
            "This is a fault of the compiler: please report it with the C# method."),
    ];
}
