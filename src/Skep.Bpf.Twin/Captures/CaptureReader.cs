using System.Buffers.Binary;

namespace Skep.Bpf.Twin.Captures;

/// <summary>
/// Reads pcap (micro- and nanoseconds, both byte orders) and pcapng files, packet by packet, in constant memory.
/// </summary>
public abstract class CaptureReader : IDisposable
{
    private protected CaptureReader(CaptureInput input) => Input = input;

    /// <summary>Name of the format, <c>pcap</c> or <c>pcapng</c>.</summary>
    public abstract string Format { get; }

    /// <summary>Bytes of the file read so far.</summary>
    public long Offset => Input.Offset;

    private protected CaptureInput Input { get; }

    /// <summary>Opens the capture at <paramref name="path"/>.</summary>
    /// <exception cref="CaptureFormatException">The file is no capture, or of a kind not known.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static CaptureReader Open(string path) =>
        Open(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0, FileOptions.SequentialScan));

    /// <summary>Reads a capture from <paramref name="stream"/>, which needs no seeking: a pipe will do.</summary>
    /// <exception cref="CaptureFormatException">The stream holds no capture, or one of a kind not known.</exception>
    public static CaptureReader Open(Stream stream, bool leaveOpen = false)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var input = new CaptureInput(stream, leaveOpen);
        try
        {
            return Recognise(input);
        }
        catch
        {
            input.Dispose();
            throw;
        }
    }

    /// <summary>Reads the next packet; false at the end of the file.</summary>
    /// <exception cref="CaptureFormatException">The file is damaged here; what was read before is good.</exception>
    public abstract bool TryRead(out CapturedPacket packet);

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        Input.Dispose();
        GC.SuppressFinalize(this);
    }

    private static CaptureReader Recognise(CaptureInput input)
    {
        var start = input.Peek(4);
        if (start.Length < 4)
        {
            throw new CaptureFormatException(0, start.Length == 0 ? "The capture is empty" : "The capture is shorter than its magic number");
        }

        var magic = BinaryPrimitives.ReadUInt32LittleEndian(start);
        return magic switch
        {
            0xA1B2C3D4 => new PcapReader(input, isBigEndian: false, nanosecondsPerUnit: 1000),
            0xD4C3B2A1 => new PcapReader(input, isBigEndian: true, nanosecondsPerUnit: 1000),
            0xA1B23C4D => new PcapReader(input, isBigEndian: false, nanosecondsPerUnit: 1),
            0x4D3CB2A1 => new PcapReader(input, isBigEndian: true, nanosecondsPerUnit: 1),
            PcapngReader.SectionHeader => new PcapngReader(input),
            _ when (magic & 0xFFFF) == 0x8B1F => throw new CaptureFormatException(0, "The capture is compressed with gzip; decompress it first"),
            _ when magic == 0xFD2FB528 => throw new CaptureFormatException(0, "The capture is compressed with zstd; decompress it first"),
            _ => throw new CaptureFormatException(0, $"Neither pcap nor pcapng: magic number 0x{magic:x8}"),
        };
    }
}
