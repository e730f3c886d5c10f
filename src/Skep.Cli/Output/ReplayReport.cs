using System.Text.Json;
using Skep.Agent;
using Skep.Bpf.Maps;
using Skep.Bpf.Twin.Replay;
using Skep.Edge;

namespace Skep.Cli.Output;

/// <summary>Writes a replay as one JSON document while it runs: a capture may be larger than memory.</summary>
internal sealed class ReplayReport : IDisposable
{
    private readonly Stream _stream;
    private readonly Utf8JsonWriter _json;

    public ReplayReport(TextWriter output)
    {
        _stream = new TextStream(output);
        _json = new Utf8JsonWriter(_stream, new JsonWriterOptions { Indented = false });
        _json.WriteStartObject();
        _json.WriteStartArray("packets");
    }

    /// <summary>One packet.</summary>
    public void Packet(scoped in ReplayedPacket packet)
    {
        _json.WriteStartObject();
        _json.WriteNumber("number", packet.Number);
        _json.WriteNumber("time", packet.Timestamp);
        _json.WriteString("verdict", packet.VerdictName);
        _json.WriteNumber("length", packet.Input.Length);
        if (!packet.Output.SequenceEqual(packet.Input))
        {
            _json.WriteString("output", Convert.ToHexStringLower(packet.Output));
        }

        _json.WriteEndObject();
        if (_json.BytesPending > 64 * 1024)
        {
            _json.Flush();
        }
    }

    /// <summary>Sums and maps, at the end.</summary>
    public void Finish(ReplayResult outcome, EdgeState state, IReadOnlyList<BpfMap> maps)
    {
        _json.WriteEndArray();
        _json.WriteString("engine", outcome.Engine);
        _json.WriteNumber("replayed", outcome.Packets);
        _json.WriteNumber("bytes", outcome.Bytes);
        _json.WriteNumber("truncated", outcome.Truncated);
        _json.WriteNumber("unframed", outcome.Unframed);
        _json.WriteNumber("refused", outcome.Refused);
        _json.WriteStartObject("verdicts");
        foreach (var (name, count) in outcome.Verdicts.OrderBy(v => v.Key, StringComparer.Ordinal))
        {
            _json.WriteNumber(name, count);
        }

        _json.WriteEndObject();
        _json.WriteStartObject("edge");
        foreach (var (verdict, counter) in state.ReadCounters())
        {
            _json.WriteNumber(Platform.VerdictName(verdict), counter.Packets);
        }

        _json.WriteEndObject();
        _json.WriteStartArray("maps");
        foreach (var map in maps)
        {
            MapDump.ToJson(map).WriteTo(_json);
        }

        _json.WriteEndArray();
        _json.WriteEndObject();
        _json.Flush();
    }

    public void Dispose()
    {
        _json.Dispose();
        _stream.Dispose();
    }

    /// <summary>Lets the JSON writer, which writes bytes, write to the text of the console or of a test.</summary>
    private sealed class TextStream(TextWriter output) : Stream
    {
        private readonly System.Text.Decoder _decoder = System.Text.Encoding.UTF8.GetDecoder();

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Flush() => output.Flush();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            var text = new char[_decoder.GetCharCount(buffer, flush: false)];
            output.Write(text, 0, _decoder.GetChars(buffer, text, flush: false));
        }
    }
}
