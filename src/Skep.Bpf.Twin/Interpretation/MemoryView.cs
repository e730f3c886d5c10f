namespace Skep.Bpf.Twin.Interpretation;

/// <summary>No context, only memory: what the abstract machine of RFC 9669 has.</summary>
internal sealed unsafe class MemoryView(byte* data, int length) : PacketView
{
    public override byte* Data => data;

    public override byte* DataEnd => data + length;

    public override bool TryLoad(long offset, int size, out ulong value)
    {
        value = 0;
        return false;
    }

    public override bool TryStore(long offset, int size, ulong value) => false;

    public override bool TryCall(int helper, Machine machine, out ulong result)
    {
        result = 0;
        return false;
    }
}
