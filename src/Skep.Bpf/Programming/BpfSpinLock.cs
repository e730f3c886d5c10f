using System.Runtime.InteropServices;

namespace Skep.Bpf.Programming;

/// <summary>
/// A lock in a map's value (<c>struct bpf_spin_lock</c>, kernel 5.1): programs on other CPUs wait while one holds it. Four bytes, one per value, in
/// hash tables, arrays and local storage; what other programs and the process may change only together stands beside it.
/// </summary>
/// <remarks>
/// The verifier lets a program hold one lock at a time, call nothing meanwhile, and never end with it; tracing programs have none.
/// In the process programs run one at a time; there the same rules are checked.
/// </remarks>
[KernelStruct("bpf_spin_lock", IsValue = true)]
[StructLayout(LayoutKind.Sequential, Size = 4)]
public struct BpfSpinLock
{
    private uint _held;

    /// <summary>Waits until the lock is free and takes it (<c>bpf_spin_lock</c>).</summary>
    /// <exception cref="InvalidOperationException">In the process: it is held already.</exception>
    [KernelHelper(93, Since = "5.1")]
    public void Acquire()
    {
        if (_held != 0)
        {
            throw new InvalidOperationException("A spin lock is taken that is held already; the verifier would refuse the program.");
        }

        _held = 1;
    }

    /// <summary>Gives the lock back (<c>bpf_spin_unlock</c>).</summary>
    /// <exception cref="InvalidOperationException">In the process: it is not held.</exception>
    [KernelHelper(94, Since = "5.1")]
    public void Release()
    {
        if (_held != 1)
        {
            throw new InvalidOperationException("A spin lock is given back that is not held; the verifier would refuse the program.");
        }

        _held = 0;
    }
}
