using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// The server id in the connection ids that a QUIC server gives its clients, not encrypted (draft-ietf-quic-load-balancers section 5):
/// <code>
/// connection id:  0 configuration 3 bits, length or anything 5 bits   1 server id 1 to 15 bytes   then at least 4 bytes that differ
/// </code>
/// In tables it is an address of 16 bytes with zeros behind it, beside its length.
/// </summary>
public readonly record struct QuicServerId
{
    private QuicServerId(IpAddress bytes, int length) => (Bytes, Length) = (bytes, length);

    /// <summary>Bytes that an id has at most.</summary>
    public const int MaxLength = 15;

    /// <summary>Configurations that connection ids can name; the eighth means that a server has none.</summary>
    public const int Configs = 7;

    /// <summary>Bytes of a connection id at least, beside its first byte and the server id.</summary>
    internal const int NonceLength = 4;

    /// <summary>The id, zeros behind it.</summary>
    public IpAddress Bytes { get; }

    /// <summary>Bytes of the id, 1 to 15.</summary>
    public int Length { get; }

    /// <summary>Reads hexadecimal digits, two for each byte.</summary>
    public static bool TryParse(string text, out QuicServerId id)
    {
        ArgumentNullException.ThrowIfNull(text);
        Span<byte> bytes = stackalloc byte[IpAddress.Size];
        bytes.Clear();
        id = default;
        if (text.Length is < 2 or > 2 * MaxLength || Convert.FromHexString(text, bytes, out var read, out var written) != System.Buffers.OperationStatus.Done || read != text.Length)
        {
            return false;
        }

        id = new QuicServerId(IpAddress.FromBytes(bytes), written);
        return true;
    }

    /// <summary>The server id of a connection id, when it is of one of these configurations and long enough.</summary>
    /// <param name="connectionId">A connection id.</param>
    /// <param name="configs">Configurations in use, a bit each.</param>
    /// <param name="length">Bytes of server ids.</param>
    /// <param name="id">The server id.</param>
    public static bool TryRead(ReadOnlySpan<byte> connectionId, byte configs, int length, out QuicServerId id)
    {
        id = default;
        if (length is < 1 or > MaxLength || connectionId.Length < 1 + length + NonceLength || ((configs >> (connectionId[0] >> 5)) & 1) == 0)
        {
            return false;
        }

        Span<byte> bytes = stackalloc byte[IpAddress.Size];
        bytes.Clear();
        connectionId.Slice(1, length).CopyTo(bytes);
        id = new QuicServerId(IpAddress.FromBytes(bytes), length);
        return true;
    }

    /// <summary>What stands for the id in the table of a service.</summary>
    internal uint KeyOf(uint service) => KeyOf(service, (uint)Length);

    /// <summary>What stands for an id of a length in the table of a service.</summary>
    internal static uint KeyOf(uint service, uint length) => (ushort)service | (length << 16);

    /// <summary>The id in hexadecimal digits.</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[IpAddress.Size];
        Bytes.WriteBytes(bytes);
        return Convert.ToHexStringLower(bytes[..Length]);
    }
}
