namespace Skep.Bpf.Twin.Interpretation;

/// <summary>The context of the program that runs: its packet, its fields, and the helpers that only this kind of program has.</summary>
internal abstract unsafe class PacketView
{
    /// <summary>First byte of the packet.</summary>
    public abstract byte* Data { get; }

    /// <summary>One past the last byte that may be read directly.</summary>
    public abstract byte* DataEnd { get; }

    /// <summary>The context where programs on the CLR would have it, at an address that stays; null when there is none.</summary>
    public virtual void* Address => null;

    /// <summary>Whether the packet can be loaded from by the instructions of classic BPF: only where the context is a <c>struct __sk_buff</c>.</summary>
    public virtual bool HasPacketLoads => false;

    /// <summary>Loads a field; false when there is none that this access may read.</summary>
    public abstract bool TryLoad(long offset, int size, out ulong value);

    /// <summary>Stores into a field; false when there is none that this access may write.</summary>
    public abstract bool TryStore(long offset, int size, ulong value);

    /// <summary>Calls a helper of this kind of program with its arguments from R2 on; false when it has no such helper.</summary>
    public abstract bool TryCall(int helper, Machine machine, out ulong result);
}
