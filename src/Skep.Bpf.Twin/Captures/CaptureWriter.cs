namespace Skep.Bpf.Twin.Captures;

/// <summary>Writes captures of Ethernet packets with nanosecond timestamps.</summary>
public abstract class CaptureWriter : IDisposable
{
    private const int SnapLength = 262_144; // what tcpdump and Wireshark take as the largest

    private readonly Stream _stream;

    private protected CaptureWriter(Stream stream) => _stream = stream;

    /// <summary>Packets written.</summary>
    public long Packets { get; private set; }

    private protected static uint Snap => SnapLength;

    /// <summary>Creates or replaces the file at <paramref name="path"/>: pcapng when the name ends so, else pcap with nanoseconds.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static CaptureWriter Create(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 128 * 1024);
        return path.EndsWith(".pcapng", StringComparison.OrdinalIgnoreCase) ? Pcapng(stream) : Pcap(stream);
    }

    /// <summary>Writes pcap with nanoseconds to <paramref name="stream"/>, which is disposed of with the writer.</summary>
    public static CaptureWriter Pcap(Stream stream) => new PcapWriter(stream);

    /// <summary>Writes pcapng to <paramref name="stream"/>, which is disposed of with the writer.</summary>
    public static CaptureWriter Pcapng(Stream stream) => new PcapngWriter(stream);

    /// <summary>Writes a packet.</summary>
    /// <param name="timestamp">Nanoseconds since 1970 UTC.</param>
    /// <param name="data">Bytes from the Ethernet header on.</param>
    /// <param name="originalLength">Length on the wire when the bytes are only its beginning; 0 when they are all.</param>
    public void Write(ulong timestamp, ReadOnlySpan<byte> data, uint originalLength = 0)
    {
        var kept = data[..Math.Min(data.Length, SnapLength)];
        WritePacket(timestamp, kept, Math.Max(originalLength, (uint)data.Length));
        Packets++;
    }

    /// <summary>Pushes what is buffered to the file.</summary>
    public void Flush() => _stream.Flush();

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        _stream.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected abstract void WritePacket(ulong timestamp, ReadOnlySpan<byte> data, uint originalLength);

    private protected void Put(ReadOnlySpan<byte> bytes) => _stream.Write(bytes);
}
