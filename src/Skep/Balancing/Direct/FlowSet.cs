using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Skep.Balancing;

/// <summary>
/// Eight flows whose hashes share their lowest bits, in one line of the processor's cache. Each way is one 64-bit word, so that it is read and written in one
/// step and one table serves all CPUs:
/// <code>
/// bits 0-15 backend   16 seen   17 on probation   18-63 tag: the upper bits of the flow's hash
/// </code>
/// Zero is empty. A flow of which one packet was seen, or nothing but SYN, is on probation; with the next one it is established. Of a flow on probation, seen means that it
/// ended; of an established one, that it was seen since it was swept last. New flows take ways that are empty or on probation, so they cannot drive established ones out.
/// <para>
/// The uppermost three bits of its hash tell the way that a flow takes when it can; others are tried by changing these bits one after the other, so that nearly every flow is
/// where it is looked for first: the processor, which goes on before the line is there, is right then.
/// </para>
/// </summary>
[InlineArray(Ways)]
public struct FlowSet
{
    private ulong _way;

    /// <summary>Ways of a set.</summary>
    public const int Ways = 8;

    /// <summary>Ways that established flows may take: the last one is for new ones.</summary>
    public const int MostEstablished = Ways - 1;

    internal const ulong Seen = 1UL << 16;

    internal const ulong Probation = 1UL << 17;

    internal const int TagShift = 18;

    private const ulong Tag = ~((1UL << TagShift) - 1);

    /// <summary>The way at a place; of larger numbers the lowest three bits count.</summary>
    [UnscopedRef]
    internal ref ulong At(uint place) => ref Unsafe.Add(ref Unsafe.As<FlowSet, ulong>(ref this), (int)(place & (Ways - 1)));

    /// <summary>The place that a flow takes when it can; those at which it may be otherwise differ from it in bits 0 to 2.</summary>
    internal static uint PlaceOf(ulong hash) => (uint)(hash >> 61);

    /// <summary>An entry of a flow, without its backend.</summary>
    internal static ulong Entry(ulong hash, ulong state) => (hash & Tag) | state;

    /// <summary>Whether an entry is one of the flow.</summary>
    internal static bool Holds(ulong way, ulong hash) => (way ^ hash) >> TagShift == 0;

    /// <summary>Whether an entry is of an established flow.</summary>
    internal static bool IsEstablished(ulong way) => way != 0 && (way & Probation) == 0;
}
