using System.Buffers.Binary;
using Skep.Bpf.Programming;

namespace Skep.Packets;

/// <summary>The timestamps option of TCP (RFC 7323 section 3).</summary>
public readonly struct TcpTimestamps(uint value, uint echo) : IEquatable<TcpTimestamps>
{
    private const int OptionSize = 10;

    // What Linux and most others send, as one 32-bit load sees it.
    private const uint NopNopTimestamps = 0x0A080101;
    private const uint SackPermittedTimestamps = 0x0A080204;

    private const uint LastOffset = 60 - OptionSize;

    // A list of 40 bytes has room for few real options; more no-operation bytes than this are not worth an instruction.
    private const int MaxOptions = 10;

    /// <summary>Clock of the sender (TSval), host order; unit and origin are the sender's secret.</summary>
    public uint Value { get; } = value;

    /// <summary>The newest <see cref="Value"/> of the other side that the sender has seen (TSecr), host order.</summary>
    public uint Echo { get; } = echo;

    /// <summary>
    /// Finds the option in a header whose first 20 bytes have been checked. Usable in kernel programs: the two usual layouts take one
    /// comparison, others a bounded loop.
    /// </summary>
    /// <param name="tcp">The header.</param>
    /// <param name="headerLength">Its length in bytes with options, at most 60.</param>
    /// <param name="end">One past the last readable byte of the packet.</param>
    /// <param name="timestamps">The option's values.</param>
    public static unsafe bool TryFind(TcpHeader* tcp, uint headerLength, byte* end, out TcpTimestamps timestamps)
    {
        timestamps = default;
        var options = (byte*)tcp + sizeof(TcpHeader);
        if (headerLength == 32)
        {
            if (options + 12 > end)
            {
                return false;
            }

            if (*(uint*)options == NopNopTimestamps)
            {
                timestamps = Read(options + 4);
                return true;
            }
        }
        else if (headerLength == 40)
        {
            if (options + 20 > end)
            {
                return false;
            }

            if (*(uint*)(options + 4) == SackPermittedTimestamps)
            {
                timestamps = Read(options + 8);
                return true;
            }
        }

        return TrySearch((byte*)tcp, headerLength, end, out timestamps);
    }

    /// <summary>Whether both have the same values.</summary>
    public bool Equals(TcpTimestamps other) => Value == other.Value && Echo == other.Echo;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is TcpTimestamps other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Value, Echo);

    /// <inheritdoc/>
    public override string ToString() => $"value {Value} echo {Echo}";

    private static unsafe bool TrySearch(byte* tcp, uint headerLength, byte* end, out TcpTimestamps timestamps)
    {
        timestamps = default;
        var offset = (uint)sizeof(TcpHeader);
        for (var i = 0; i < MaxOptions; i++)
        {
            // Also when the header claims more: 60 bytes is the longest there is.
            if (offset + OptionSize > headerLength || offset > LastOffset)
            {
                return false;
            }

            var option = tcp + offset;
            if (option + OptionSize > end)
            {
                return false;
            }

            var kind = option[0];
            var length = (uint)option[1];
            if (kind == (byte)TcpOptionKind.Timestamps && length == OptionSize)
            {
                timestamps = Read(option + 2);
                return true;
            }

            if (kind == (byte)TcpOptionKind.NoOperation)
            {
                length = 1;
            }
            else if (kind == (byte)TcpOptionKind.End || length < 2)
            {
                return false;
            }

            // Whatever lengths came before: one state for the verifier at each step.
            offset = (uint)Verifier.Forget(offset + length, (ulong)(end - tcp)) & 511;
        }

        return false;
    }

    private static unsafe TcpTimestamps Read(byte* values) =>
        new(BinaryPrimitives.ReverseEndianness(*(uint*)values), BinaryPrimitives.ReverseEndianness(*(uint*)(values + 4)));
}
