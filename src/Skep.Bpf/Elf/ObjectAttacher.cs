using System.Runtime.InteropServices;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Elf;

/// <summary>Attaches the programs of an object by what their sections say, as libbpf does.</summary>
internal sealed class ObjectAttacher(AttachOptions options, UsdtSpecs? usdt)
{
    private static readonly string[] s_libraries = ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib"];
    private static readonly string[] s_programs = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

    private readonly Dictionary<string, ExecutableFile> _files = [];

    /// <summary>Attaches a program.</summary>
    internal ObjectAttachment Attach(ObjectProgram source, LoadedProgram program)
    {
        var section = source.Section.TrimStart('?');
        var target = SectionName.Parse(section)?.Target;
        try
        {
            var (where, links, reason) = Attach(section, target, program);
            return new ObjectAttachment(source.Name, source.Section, where, links, reason, null);
        }
        catch (Exception e) when (e is BpfException or NotSupportedException or ArgumentException or EntryPointNotFoundException or ElfFormatException or IOException or UnauthorizedAccessException)
        {
            return new ObjectAttachment(source.Name, source.Section, target ?? "", [], null, e);
        }
    }

    private (string Where, IReadOnlyList<Link> Links, string? Reason) Attach(string section, string? target, LoadedProgram program)
    {
        var (kind, slash) = (section, section.IndexOf('/', StringComparison.Ordinal));
        kind = slash < 0 ? section : section[..slash];
        switch (program.Type)
        {
            case ProgramType.Tracepoint when target is not null:
                return One($"tracepoint {target}", TracepointLink.Attach(program));
            case ProgramType.Tracing when program.Spec?.ExpectedAttachType == AttachType.TraceIter && target is not null:
                return One($"iterator {target}", IteratorLink.Attach(program));
            case ProgramType.Tracing or ProgramType.Ext or ProgramType.RawTracepoint or ProgramType.RawTracepointWritable when target is not null:
                return One(target, RawTracepointLink.Attach(program));
            case ProgramType.Lsm when program.Spec?.ExpectedAttachType != AttachType.LsmCgroup && target is not null:
                return One($"security hook {target}", RawTracepointLink.Attach(program));
            case ProgramType.Kprobe when target is not null:
                return Probe(kind, target, program);
            case ProgramType.Xdp when program.Spec?.ExpectedAttachType is null or AttachType.Xdp:
                return options.Interface is { } device ? One($"interface {device}", XdpLink.Attach(program, device, options.XdpMode)) : Nowhere("its section names no interface");
            case ProgramType.SchedCls when program.Spec?.ExpectedAttachType is AttachType.TcxIngress or AttachType.TcxEgress:
                var direction = program.Spec.ExpectedAttachType == AttachType.TcxIngress ? TcDirection.Ingress : TcDirection.Egress;
                return options.Interface is { } index ? One($"interface {index}, {direction}", TcxLink.Attach(program, index, direction)) : Nowhere("its section names no interface");
            case ProgramType.CgroupDevice or ProgramType.CgroupSkb or ProgramType.CgroupSock or ProgramType.CgroupSockAddr or ProgramType.CgroupSockopt
                or ProgramType.CgroupSysctl or ProgramType.SockOps or ProgramType.Lsm when program.Spec?.ExpectedAttachType is not null:
                return options.Cgroup is { } group ? One($"control group {group}", CgroupLink.Attach(program, group)) : Nowhere("its section names no control group");
            default:
                return Nowhere("its section says not to what");
        }
    }

    private (string Where, IReadOnlyList<Link> Links, string? Reason) Probe(string kind, string target, LoadedProgram program)
    {
        var isReturn = kind.Contains("ret", StringComparison.Ordinal);
        switch (kind.Split('.')[0])
        {
            case "usdt":
                return Usdt(target, program);
            case "uprobe" or "uretprobe":
                var point = Place(target);
                return One(
                    $"{target}{(isReturn ? " on return" : "")}",
                    program.Spec?.ExpectedAttachType == AttachType.TraceUprobeMulti
                        ? UprobeLink.AttachMany(program, [point], options.ProcessId, isReturn)
                        : UprobeLink.Attach(program, point, options.ProcessId, isReturn));
            case "ksyscall" or "kretsyscall":
                return One($"system call {target}", KprobeLink.Attach(program, $"__{(RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "arm64" : "x64")}_sys_{target}", isReturn));
            default:
                if (target.AsSpan().ContainsAny("*?+"))
                {
                    throw new NotSupportedException($"'{target}' is a pattern, or a place inside a function; attach by {nameof(KprobeLink)} to functions by their names.");
                }

                return One(
                    $"kernel function {target}",
                    program.Spec?.ExpectedAttachType == AttachType.TraceKprobeMulti ? KprobeLink.AttachMulti(program, target, isReturn) : KprobeLink.Attach(program, target, isReturn));
        }
    }

    /// <summary><c>PATH:PROVIDER:NAME</c>: a link for each place of the probe, whose cookie is the number of the entry that says where the arguments are.</summary>
    private (string Where, IReadOnlyList<Link> Links, string? Reason) Usdt(string target, LoadedProgram program)
    {
        if (target.Split(':') is not [var file, var provider, var name])
        {
            throw new NotSupportedException($"'{target}' is not PATH:PROVIDER:NAME.");
        }

        var path = Find(file);
        var sites = Read(path).FindUsdt(provider, name);
        if (sites.Count == 0)
        {
            throw new EntryPointNotFoundException($"{path} has no USDT probe '{provider}:{name}'.");
        }

        var links = new List<Link>();
        try
        {
            foreach (var site in sites)
            {
                // The user's own cookie is in the entry and stays zero; without arguments there is no entry, and the program asks for none.
                links.Add(UprobeLink.Attach(program, site.Point, options.ProcessId, cookie: usdt?.NumberOf(site, 0) ?? 0));
            }
        }
        catch
        {
            links.ForEach(l => l.Dispose());
            throw;
        }

        return ($"{path}:{provider}:{name}, {links.Count} {(links.Count == 1 ? "place" : "places")}", links, null);
    }

    /// <summary><c>PATH:FUNCTION</c>, <c>PATH:FUNCTION+OFFSET</c> or <c>PATH:0xOFFSET</c> in the file.</summary>
    private UprobePoint Place(string target)
    {
        var colon = target.LastIndexOf(':');
        if (colon <= 0)
        {
            throw new NotSupportedException($"'{target}' is not PATH:FUNCTION.");
        }

        var (path, place) = (Find(target[..colon]), target[(colon + 1)..]);
        if (Number(place) is { } offset)
        {
            return new UprobePoint(path, offset);
        }

        var plus = place.LastIndexOf('+');
        var beyond = plus > 0 ? Number(place[(plus + 1)..]) : 0;
        var function = plus > 0 ? place[..plus] : place;
        return beyond is { } more && Read(path).FindFunction(function) is { } start
            ? new UprobePoint(path, start + more)
            : throw new EntryPointNotFoundException($"{path} has no function '{function}' in its symbol tables.");
    }

    private ExecutableFile Read(string path) => _files.TryGetValue(path, out var file) ? file : _files[path] = ExecutableFile.Read(path);

    /// <summary>A name without a directory is looked for where libraries and programs are.</summary>
    private static string Find(string name)
    {
        if (name.Contains('/', StringComparison.Ordinal))
        {
            return name;
        }

        var isLibrary = name.Contains(".so", StringComparison.Ordinal);
        var folders = isLibrary
            ? s_libraries.SelectMany(d => Directory.Exists(d) ? [d, .. Directory.EnumerateDirectories(d, "*-linux-gnu*")] : Array.Empty<string>())
            : (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries).Concat(s_programs);
        return folders.Select(d => Path.Combine(d, name)).FirstOrDefault(File.Exists)
            ?? throw new FileNotFoundException($"There is no {(isLibrary ? "library" : "program")} '{name}' where they usually are; give its path.");
    }

    private static ulong? Number(string text) => text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
        ? ulong.TryParse(text.AsSpan(2), System.Globalization.NumberStyles.HexNumber, System.Globalization.CultureInfo.InvariantCulture, out var hex) ? hex : null
        : ulong.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var value) ? value : null;

    private static (string, IReadOnlyList<Link>, string?) One(string where, Link link) => (where, [link], null);

    private static (string, IReadOnlyList<Link>, string?) Nowhere(string reason) => ("", [], reason);
}
