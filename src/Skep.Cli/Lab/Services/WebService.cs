using System.Net;
using Skep.Cli.Lab.Network;

namespace Skep.Cli.Lab.Services;

/// <summary>nginx, from its own folder and in one process, answering every request with the name of its host.</summary>
internal static class WebService
{
    internal const int Port = 8080;

    internal static LabProcess Start(LabJournal journal, LabNode host)
    {
        var program = Tool.Find("nginx") ?? throw new LabException("'nginx' is not installed: apt-get install nginx-light");
        var folder = Path.Combine(journal.Folder, host.Device);
        Directory.CreateDirectory(folder);
        var configuration = Path.Combine(folder, "nginx.conf");
        File.WriteAllText(configuration, Configuration(host, folder));
        return LabProcess.Start(journal, host.Namespace, host.Device + "-nginx", program, ["-p", folder, "-c", configuration]);
    }

    private static string Configuration(LabNode host, string folder) => $$"""
        daemon off;
        master_process off;
        pid {{folder}}/nginx.pid;
        error_log {{folder}}/error.log;
        events { worker_connections 4096; }
        http {
            access_log off;
            client_body_temp_path {{folder}}/body;
            proxy_temp_path {{folder}}/proxy;
            fastcgi_temp_path {{folder}}/fastcgi;
            uwsgi_temp_path {{folder}}/uwsgi;
            scgi_temp_path {{folder}}/scgi;
            keepalive_requests 1000000;
            keepalive_timeout 120s;
            default_type text/plain;
            server {
                listen {{new IPEndPoint(host.V4[0], Port)}} backlog=4096;
                listen {{new IPEndPoint(host.V6[0], Port)}} backlog=4096;
                location / { return 200 "{{host.Device}}"; }
            }
        }

        """;
}
