namespace Skep.Balancing;

/// <summary>
/// Kernel half: how a rewrite changes the sum of a packet, for a hook where only the kernel knows what the checksum field holds now.
/// Both differences are those of <see cref="Packets.ChecksumDelta"/>.
/// </summary>
internal struct ChecksumMend
{
    /// <summary>Difference of the address.</summary>
    public ushort Address;

    /// <summary>Difference of address and port together.</summary>
    public ushort Full;

    /// <summary>Whether the address was changed.</summary>
    public bool IsNeeded;
}
