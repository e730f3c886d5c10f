using System.Runtime.InteropServices;

namespace Skep.Balancing;

/// <summary>
/// Eight flows whose hashes share their lowest bits, in one line of the processor's cache. Each way is one 64-bit word, so that it is read and written in one
/// step and one table serves all CPUs:
/// <code>
/// bits 0-15 backend   16 seen since the last sweep of the set; on probation: ended   17-63 tag: the upper bits of the flow's hash
/// </code>
/// Zero is empty. Ways 0 and 1 are on probation: flows of which one packet was seen, or nothing but SYN. The others are flows that were seen again, which new
/// flows cannot drive out.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct FlowSet
{
    /// <summary>The newest flow on probation.</summary>
    public ulong Way0;

    /// <summary>The flow on probation before it.</summary>
    public ulong Way1;

    /// <summary>A flow that was seen again.</summary>
    public ulong Way2;

    /// <summary>A flow that was seen again.</summary>
    public ulong Way3;

    /// <summary>A flow that was seen again.</summary>
    public ulong Way4;

    /// <summary>A flow that was seen again.</summary>
    public ulong Way5;

    /// <summary>A flow that was seen again.</summary>
    public ulong Way6;

    /// <summary>A flow that was seen again.</summary>
    public ulong Way7;

    /// <summary>Ways of a set.</summary>
    public const int Ways = 8;

    internal const ulong Seen = 1UL << 16;

    internal const int TagShift = 17;
}
