using System.Text.RegularExpressions;

namespace Skep.Bpf.Verification;

/// <summary>A rule of the verifier: how its complaint reads, what it wants, and what to do in C#.</summary>
internal sealed record VerifierRule(string Pattern, string Rule, string Mend)
{
    // The first that matches counts, so the particular come before the general.
    private static readonly VerifierRule[] s_rules =
    [
        new(@"invalid access to packet|is outside of the packet",
            "A packet byte may be accessed only where a comparison with DataEnd has shown that it exists.",
            "Compare `pointer + size > context.DataEnd` first, and dereference the very pointer that was compared; read Data and DataEnd again after a helper that changes the packet."),
        new(@"invalid mem access '\w*_or_null'",
            "A value that may be null may be used only after a test.",
            "Test the reference with Unsafe.IsNullRef (or the pointer with null) before the first access."),
        new(@"invalid mem access '(scalar|inv|imm)'",
            "Only pointers can be dereferenced, and the verifier sees a plain number here.",
            "Do not keep pointers in integers or in a map; after a helper that changes the packet, read Data and DataEnd again."),
        new(@"!read_ok",
            "A register must be written on every path before it is read.",
            "Give the variable a value on every path; pointers read before a call of a helper that changes the packet are gone after it."),
        new(@"invalid (indirect )?(read|access)( from| to)? stack|invalid indirect access to stack|invalid read from stack",
            "Every byte of the stack that is read, or passed to a helper, must have been written.",
            "Set the struct to default first, padding included, or give the key a layout without padding."),
        new(@"combined stack size|stack (depth|size).*(too large|exceed)|invalid (variable-offset )?(write to|stack|unbounded).*stack|invalid stack off",
            "A program has 512 bytes of stack, all its functions together.",
            "Move large locals to a per-CPU map, or make the struct smaller."),
        new(@"math between \w+ pointer and register with unbounded|unbounded min value|value [-\d]+ makes \w+ pointer be out of bounds",
            "A number that is added to a pointer needs a known upper and lower bound.",
            "Compare the offset with a constant or mask it, in an unsigned type, right before adding it."),
        new(@"min value is negative|unbounded memory access|max value is outside of the allowed memory range|min value is outside|invalid access to map value|invalid access to memory",
            "An access must lie inside the memory it points into, for every value the index may have.",
            "Compare the index as an unsigned number with the length, or mask it, right before the access."),
        new(@"back-edge|infinite loop detected|loop is not bounded",
            "A loop must end for certain: the verifier has to see its bound.",
            "Give the loop a constant bound and let the counter only grow."),
        new(@"program is too large|too complex|Processed \d+ insn",
            "The verifier follows every path, and gives up after a million instructions.",
            "Lower loop bounds, move branches out of loops, or split the work by a tail call."),
        new(@"unreachable insn",
            "Every instruction must be reachable.",
            "This is a fault of the compiler: please report it with the C# method."),
        new(@"jump out of range|last insn is not an exit",
            "Every path must stay in the program and end in an exit.",
            "This is a fault of the compiler: please report it with the C# method."),
        new(@"invalid bpf_context access|dereference of modified ctx",
            "Only certain fields of the context may be accessed by this type of program, each in its own width.",
            "Use the properties of the context type, and check which program types have this field."),
        new(@"unknown func|cannot use helper|helper call is not allowed|invalid func",
            "This kernel or this type of program does not have the helper.",
            "Look up the helper's first kernel version; leave the feature out where `skep doctor` says that it is missing."),
        new(@"GPL",
            "Some helpers are for programs under the GPL only.",
            "Let the License property of the program be \"GPL\" or \"Dual MIT/GPL\"."),
        new(@"At program exit the register R0|R0 .*should have been in",
            "The verdict must be one of those the hook knows.",
            "Return a member of the verdict enumeration, not a computed number."),
        new(@"pointer arithmetic|prohibited|leaks addr|tried to (subtract|add)",
            "Pointers cannot be computed with freely or revealed.",
            "Add only bounded numbers to pointers, compare only packet pointers with DataEnd, and store no pointer in a map."),
        new(@"misaligned",
            "This access must be aligned.",
            "Lay the struct out so that fields are aligned, or read bytes."),
        new(@"cannot write into|write into map forbidden|only read is supported",
            "This memory is read-only for the program.",
            "Copy what is to be changed."),
        new(@"type=\S+ expected=|expected pointer to",
            "A helper takes only certain kinds of pointers.",
            "Pass a map, stack memory or the context as the helper's documentation says."),
        new(@"Unreleased reference|reference leak",
            "What was acquired must be released on every path.",
            "Release the socket or record on every path, early returns included."),
    ];

    internal static VerifierRule? For(string complaint) =>
        Array.Find(s_rules, rule => Regex.IsMatch(complaint, rule.Pattern, RegexOptions.CultureInvariant | RegexOptions.IgnoreCase));
}
