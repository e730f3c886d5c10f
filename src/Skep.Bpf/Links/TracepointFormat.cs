using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Links;

/// <summary>A field of a tracepoint.</summary>
/// <param name="Name">Name.</param>
/// <param name="Declaration">Type and name as in C.</param>
/// <param name="Offset">Offset in bytes.</param>
/// <param name="Size">Size in bytes.</param>
/// <param name="IsSigned">Whether it is a signed number.</param>
public sealed record TracepointField(string Name, string Declaration, int Offset, int Size, bool IsSigned);

/// <summary>Fields of a tracepoint, from the tracefs.</summary>
/// <param name="Id">Number of the event on this kernel.</param>
/// <param name="Fields">The fields, the four common ones first.</param>
public sealed partial record TracepointFormat(uint Id, IReadOnlyList<TracepointField> Fields)
{
    private const string DefaultPath = "/sys/kernel/tracing", OldPath = "/sys/kernel/debug/tracing";

    /// <summary>Reads the format of a tracepoint; mounts the tracefs when that has not happened.</summary>
    /// <param name="tracepoint">Group and name, for example <c>sched/sched_switch</c>.</param>
    /// <exception cref="NotSupportedException">The kernel has no such tracepoint, or no tracefs can be mounted.</exception>
    public static TracepointFormat Read(string tracepoint)
    {
        ArgumentException.ThrowIfNullOrEmpty(tracepoint);
        var events = Path.Combine(FileSystem(), "events");
        var parts = tracepoint.Split('/');
        var directory = parts.Length == 2 && parts.All(part => part.Length > 0 && part[0] != '.') ? Path.Combine(events, parts[0], parts[1]) : null;
        if (directory is null || !Directory.Exists(directory))
        {
            throw new NotSupportedException(
                $"This kernel has no tracepoint '{tracepoint}'; a tracepoint is named group/name, as in {events}.");
        }

        var id = uint.Parse(File.ReadAllText(Path.Combine(directory, "id")), CultureInfo.InvariantCulture);
        return new TracepointFormat(id, Parse(File.ReadAllText(Path.Combine(directory, "format"))));
    }

    /// <summary>Reads the lines <c>field:TYPE NAME; offset:N; size:N; signed:N;</c> of a format file.</summary>
    public static IReadOnlyList<TracepointField> Parse(string format) => [.. FieldLine().Matches(format).Select(line => new TracepointField(
        Name().Match(line.Groups[1].Value).Groups[1].Value,
        line.Groups[1].Value,
        int.Parse(line.Groups[2].Value, CultureInfo.InvariantCulture),
        int.Parse(line.Groups[3].Value, CultureInfo.InvariantCulture),
        line.Groups[4].Value == "1"))];

    /// <summary>
    /// What of <typeparamref name="TEvent"/> does not fit the tracepoint: fields that begin nowhere or are longer than that of the kernel. Names are free.
    /// </summary>
    public IReadOnlyList<string> Mismatches<TEvent>()
        where TEvent : unmanaged =>
        [.. from field in typeof(TEvent).GetFields(
                System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.Public | System.Reflection.BindingFlags.NonPublic)
            let offset = (int)Marshal.OffsetOf<TEvent>(field.Name)
            let size = Marshal.SizeOf(field.FieldType.IsEnum ? Enum.GetUnderlyingType(field.FieldType) : field.FieldType)
            let kernel = Fields.FirstOrDefault(f => f.Offset <= offset && offset + size <= f.Offset + f.Size)
            where kernel is null
            select $"field '{field.Name}' (offset {offset}, {size} bytes) is no field of the tracepoint"];

    private static string FileSystem()
    {
        if (Directory.Exists(DefaultPath + "/events"))
        {
            return DefaultPath;
        }

        if (Directory.Exists(OldPath + "/events"))
        {
            return OldPath;
        }

        return LibC.mount("tracefs", DefaultPath, "tracefs", 0, null) == 0
            ? DefaultPath
            : throw new NotSupportedException(
                $"Tracepoints are looked up in the tracefs, and mounting one at {DefaultPath} failed ({Errno.NameOf(Marshal.GetLastPInvokeError())}); root is needed, and CONFIG_TRACING.");
    }

    [GeneratedRegex(@"field:([^;]+);\s*offset:(\d+);\s*size:(\d+);\s*signed:(\d);")]
    private static partial Regex FieldLine();

    [GeneratedRegex(@"(\w+)(\[[^\]]*\])*$")]
    private static partial Regex Name();
}
