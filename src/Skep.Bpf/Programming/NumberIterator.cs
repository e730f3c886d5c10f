using System.Runtime.InteropServices;

namespace Skep.Bpf.Programming;

/// <summary>
/// The kernel's iterator over numbers (<c>struct bpf_iter_num</c>, kernel 6.4): the verifier walks the body of its loop until it learns nothing new. In the process
/// loops count by themselves.
/// </summary>
[KernelStruct("bpf_iter_num", IsValue = true, OnStack = true)]
[StructLayout(LayoutKind.Sequential, Size = 8)]
internal unsafe struct NumberIterator
{
    /// <summary>The address of a new variable on the program's stack.</summary>
    [LoopLowering(LoopWay.IteratorVariable)]
    internal static NumberIterator* OnStack() => throw NotHere();

    [KernelFunction("bpf_iter_num_new", Since = "6.4", Acquires = true)]
    internal static int Begin(NumberIterator* iterator, int start, int end) => throw NotHere();

    [KernelFunction("bpf_iter_num_next", Since = "6.4")]
    internal static int* Next(NumberIterator* iterator) => throw NotHere();

    [KernelFunction("bpf_iter_num_destroy", Since = "6.4", Releases = true)]
    internal static void End(NumberIterator* iterator) => throw NotHere();

    private static InvalidOperationException NotHere() => new("In the process loops count by themselves.");
}
