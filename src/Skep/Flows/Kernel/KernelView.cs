using System.Diagnostics.CodeAnalysis;

namespace Skep.Flows.Kernel;

/// <summary>What views of kernel structs do outside the kernel.</summary>
internal static unsafe class KernelView
{
    /// <summary>The in-process answer of every field of a kernel struct.</summary>
    /// <exception cref="NotSupportedException">Always: there is no such struct in the process.</exception>
    [DoesNotReturn]
    internal static ulong NotSimulated(string field) =>
        throw new NotSupportedException($"The twin does not simulate the kernel's {field} yet; run this program in the kernel.");
}
