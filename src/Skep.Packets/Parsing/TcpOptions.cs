using System.Buffers.Binary;

namespace Skep.Packets;

/// <summary>Kinds of TCP options (IANA "TCP Option Kind Numbers").</summary>
public enum TcpOptionKind : byte
{
    /// <summary>End of the list.</summary>
    End = 0,
    /// <summary>Padding of one byte.</summary>
    NoOperation = 1,
    /// <summary>Maximum segment size (RFC 9293).</summary>
    MaximumSegmentSize = 2,
    /// <summary>Window scale (RFC 7323).</summary>
    WindowScale = 3,
    /// <summary>Selective acknowledgments permitted (RFC 2018).</summary>
    SackPermitted = 4,
    /// <summary>Selective acknowledgments (RFC 2018).</summary>
    Sack = 5,
    /// <summary>Timestamps (RFC 7323).</summary>
    Timestamps = 8,
}

/// <summary>One TCP option.</summary>
public readonly ref struct TcpOption(TcpOptionKind kind, ReadOnlySpan<byte> data)
{
    /// <summary>Kind.</summary>
    public TcpOptionKind Kind { get; } = kind;

    /// <summary>Bytes behind kind and length.</summary>
    public ReadOnlySpan<byte> Data { get; } = data;
}

/// <summary>Iterates the options of a TCP header; no-operation bytes are skipped, a malformed list ends the iteration.</summary>
public ref struct TcpOptions(ReadOnlySpan<byte> options)
{
    private ReadOnlySpan<byte> _rest = options;

    /// <summary>Whether the list ended in the middle of an option or had one with an impossible length.</summary>
    public bool IsMalformed { get; private set; }

    /// <summary>Gives the next option; false at the end.</summary>
    public bool TryNext(out TcpOption option)
    {
        option = default;
        while (_rest.Length > 0 && _rest[0] == (byte)TcpOptionKind.NoOperation)
        {
            _rest = _rest[1..];
        }

        if (_rest.Length == 0 || _rest[0] == (byte)TcpOptionKind.End)
        {
            _rest = default;
            return false;
        }

        if (_rest.Length < 2 || _rest[1] < 2 || _rest[1] > _rest.Length)
        {
            IsMalformed = true;
            _rest = default;
            return false;
        }

        option = new TcpOption((TcpOptionKind)_rest[0], _rest[2.._rest[1]]);
        _rest = _rest[_rest[1]..];
        return true;
    }

    /// <summary>Reads the options that matter to a connection; absent ones are null.</summary>
    public static TcpConnectionOptions ReadAll(ReadOnlySpan<byte> options)
    {
        var result = default(TcpConnectionOptions);
        var iterator = new TcpOptions(options);
        while (iterator.TryNext(out var option))
        {
            var data = option.Data;
            result = option.Kind switch
            {
                TcpOptionKind.MaximumSegmentSize when data.Length == 2 => result with { MaximumSegmentSize = BinaryPrimitives.ReadUInt16BigEndian(data) },
                TcpOptionKind.WindowScale when data.Length == 1 => result with { WindowScale = data[0] },
                TcpOptionKind.SackPermitted when data.Length == 0 => result with { SackPermitted = true },
                TcpOptionKind.Timestamps when data.Length == 8 => result with
                {
                    Timestamps = new TcpTimestamps(BinaryPrimitives.ReadUInt32BigEndian(data), BinaryPrimitives.ReadUInt32BigEndian(data[4..])),
                },
                _ => result,
            };
        }

        return result with { IsMalformed = iterator.IsMalformed };
    }
}

/// <summary>The options of a TCP header that matter to a connection.</summary>
/// <param name="MaximumSegmentSize">Bytes, or null.</param>
/// <param name="WindowScale">Shift count, or null.</param>
/// <param name="SackPermitted">Whether selective acknowledgments are permitted.</param>
/// <param name="Timestamps">Timestamps, or null.</param>
/// <param name="IsMalformed">Whether the list broke off.</param>
public readonly record struct TcpConnectionOptions(
    ushort? MaximumSegmentSize, byte? WindowScale, bool SackPermitted, TcpTimestamps? Timestamps, bool IsMalformed);
