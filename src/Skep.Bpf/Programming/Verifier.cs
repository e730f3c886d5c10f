namespace Skep.Bpf.Programming;

/// <summary>Hints for the kernel's verifier. They change what it has to look at, never what a program computes.</summary>
public static class Verifier
{
    /// <summary>
    /// Gives <paramref name="value"/>, and makes the verifier forget its bounds, so that paths that differ only in it are walked once
    /// from here on. Mask the result at once: <c>data + (nuint)(Verifier.Forget(offset, length) &amp; 0x3f)</c>; behind the mask stands a jump to what follows, where the verifier
    /// compares paths and which it then takes out. Costs three instructions.
    /// </summary>
    /// <param name="value">A number of which the verifier knows a different value on each path, such as the length of headers parsed so far.</param>
    /// <param name="unknown">Any number that the verifier knows nothing about, for example the packet's length as <c>end - data</c>; it has no influence on the result.</param>
    [VerifierForget]
    public static ulong Forget(ulong value, ulong unknown)
    {
        _ = unknown;
        return value;
    }
}

/// <summary>Marks <see cref="Verifier.Forget"/> for the compiler.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class VerifierForgetAttribute : Attribute;
